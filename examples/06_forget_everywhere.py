"""Forgetting: a note leaves text, vectors, links, books and weights, and the model is what it was before, bit for bit."""

import torch

from agentmem import Memory
from agentmem.llm.clients import load_model
from agentmem.notes.clock import ManualClock

model, tokenizer = load_model("small")
clock = ManualClock()
memory = Memory(clock=clock)
memory.attach(model, tokenizer)
QUESTION = "What instrument does Ida Sandberg play?"


def learn(statement: str, question: str) -> str:
    """Remember a fact, need it on two days, and consolidate; returns the note's id."""
    id = memory.remember(statement).id
    for _ in range(2):
        clock.advance(days=2)
        memory.reinforce(memory.recall(question, k=1)[0])
    print(memory.consolidate())
    assert id is not None
    return id


def logits() -> torch.Tensor:
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}], tokenize=False, add_generation_prompt=True
    )
    with torch.no_grad():
        return model(**tokenizer(text, add_special_tokens=False, return_tensors="pt")).logits


base = logits()
learn("Tomas Okeke lives in Oslo.", "Where does Tomas Okeke live?")
without, hash_without = logits(), memory.editor.state_hash()

harp = learn("Ida Sandberg plays the harp.", QUESTION)
print("learnt:", memory.ask(QUESTION), "| logits changed:", not torch.equal(logits(), without))

print("would remove:", dict(memory.forget(harp, dry_run=True).places))
receipt = memory.forget(harp)
print("removed:", dict(receipt.places))
print("looked again, nothing left:", dict(receipt.probes))

print("answer now:", memory.ask(QUESTION, use="weights"))
print("side memory as if never learnt:", memory.editor.state_hash() == hash_without)
print("logits as if never learnt:", torch.equal(logits(), without), "| as the base model:", torch.equal(logits(), base))
memory.close()
