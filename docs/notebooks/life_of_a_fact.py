# The notebook of the same name is made of this: python -m docs.tools.notebooks docs/notebooks/*.py

# %% [markdown]
# # A fact's life, from remark to weights and out again
#
# One sentence is remembered, asked for, learnt by heart by a small model, changed, and forgotten. The model is the one that comes along: four layers, and it has never heard of Ines Varga. It takes about a minute.

# %%
from agentmem import Memory
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock

clock = ManualClock()
model, tokenizer = load_small_model()
memory = Memory(None, model=(model, tokenizer), clock=clock)
QUESTION = "Where does Ines Varga live?"
print(memory.ask(QUESTION))

# %% [markdown]
# ## A remark
#
# It is read for what it states.

# %%
remark = memory.remember("Ines Varga lives in Porto.", user="ana")
print(memory.get(remark.id, user="ana").fact)

# %% [markdown]
# ## Asked for
#
# The note stands in the prompt. What was asked, and what was answered from it, is kept beside the note: its evidence.

# %%
for question in (QUESTION, "Which city does Ines Varga live in?"):
    clock.advance(days=2)
    answer = memory.ask(question, user="ana")
    print(f"{answer.text} from {answer.source}, {answer.prompt_tokens} prompt tokens")
for each in memory.evidence(user="ana"):
    print(each.question, "→", each.answer)

# %% [markdown]
# ## Would it be worth learning?
#
# The policy explains itself; nothing is written yet.

# %%
print(memory.explain(remark.id, user="ana"))

# %% [markdown]
# ## Into the weights
#
# Written into a private copy, asked by free generation, committed. The model's own weights are not touched.

# %%
import torch

before = {name: weight.clone() for name, weight in model.named_parameters()}
empty = memory.editor.state_hash()

report = memory.consolidate(user="ana")
for outcome in report.promoted:
    print(outcome.question, "before:", outcome.before, "after:", outcome.after)
print("own weights untouched:", all(torch.equal(before[name], weight) for name, weight in model.named_parameters()))

# %%
answer = memory.ask(QUESTION, user="ana")
print(f"{answer.text} from {answer.source}, {answer.prompt_tokens} prompt tokens")
print("for Ben:", memory.ask(QUESTION, user="ben").text)
print("about another:", memory.ask("Where does Ana Varga live?", user="ana").text)

# %% [markdown]
# ## What the books say

# %%
for edit in memory.edits(user="ana"):
    print(edit.prompt, "→", edit.target)
print(memory.status(user="ana"))

# %% [markdown]
# ## It changes
#
# The newer statement ends the older one, and the edit leaves the weights in the same call. Until the new fact is learnt, its note answers.

# %%
clock.advance(days=30)
moved = memory.remember("Ines Varga moved to Rome.", user="ana")
print(moved.status, "edits now:", len(memory.edits(user="ana")))
answer = memory.ask(QUESTION, user="ana")
print(f"{answer.text} from {answer.source}")

# %%
memory.consolidate(user="ana")
answer = memory.ask(QUESTION, user="ana")
print(f"{answer.text} from {answer.source}, {answer.prompt_tokens} prompt tokens")

# %% [markdown]
# ## Out again
#
# Both notes are forgotten: rows, text, vectors, links, evidence, and the edit. The side memory equals, by hash, the one that never held anything.

# %%
receipt = memory.forget([remark.id, moved.id], user="ana")
print("gone:", receipt.gone, dict(receipt.places))
print("as if never learnt:", memory.editor.state_hash() == empty)
print(memory.ask(QUESTION, user="ana").text)
memory.close()
