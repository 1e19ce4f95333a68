"""A memory in your own agent loop: recall, answer, remember, reinforce. Any model will do; here it is a function."""

from datetime import timedelta

from agentmem import Memory, Scope
from agentmem.ask.ask import used_notes
from agentmem.notes.clock import ManualClock


def model(messages: list[dict[str, str]]) -> str:
    """Stands in for a language model: it answers with the last word of the note that shares most words with the question."""
    notes = [line.split("] ", 1)[1] for line in messages[0]["content"].splitlines() if line.startswith("- [")]
    asked = set(messages[-1]["content"].lower().strip("?").split())
    best = max(notes, key=lambda note: len(asked & set(note.lower().strip(".").split())), default="I do not know.")
    return best.rstrip(".").split()[-1] + "."


clock = ManualClock()
memory = Memory(clock=clock, scope=Scope(user="ana"))  # every call of this object is Ana's
memory.remember_many(
    [
        {"role": "user", "content": "I live in Lisbon."},
        {"role": "user", "content": "My brother plays the cello."},
        {"content": "Ana's brother plays the tuba.", "source": "web"},
    ],
    session="monday",
)

for question in ("Where do I live?", "What does my brother play?"):
    clock.advance(hours=20)
    found = memory.recall(question, k=3)
    messages = [
        {"role": "system", "content": found.context(max_tokens=200)},
        {"role": "user", "content": question},
    ]
    answer = model(messages)
    print(f"{question} {answer}")

    # Only what the answer drew on was used: what merely stood in the prompt is not made stronger.
    used = used_notes(answer, question, found.notes)
    memory.reinforce(used)
    print("   used:", [note.content for note in used])

    # The exchange becomes memory too. An echo of the recalled notes would be refused.
    said = {"role": "user", "content": question, "occurred_at": clock.now()}
    reply = {"role": "assistant", "content": answer, "occurred_at": clock.now() + timedelta(seconds=2)}
    memory.remember([said, reply], session="tuesday")

echo = memory.remember({"role": "assistant", "content": found.context()})
print("storing the prompt again:", echo.status, "-", echo.reason)
memory.close()
