# The notebook of the same name is made of this: python -m docs.tools.notebooks docs/notebooks/*.py

# %% [markdown]
# # Memory in five minutes
#
# Remember, recall, change, connect, forget. No server, no key, no network; `Memory(None)` keeps nothing, `Memory("a-directory")` everything.

# %%
from agentmem import Memory
from agentmem.notes.clock import ManualClock

clock = ManualClock()  # so that this page can let time pass; leave it out
memory = Memory(None, clock=clock)

# %% [markdown]
# ## Remember
#
# A receipt says what became of each text.

# %%
for text in (
    "My sister Lena lives in Porto.",
    "Lena works at Fernwick Labs as a glaciologist.",
    "Fernwick Labs is headquartered in Bergen.",
    "I am allergic to walnuts.",
):
    receipt = memory.remember(text, user="ana")
    print(receipt.status, "·", text)
    clock.advance(minutes=1)

# %% [markdown]
# ## Recall
#
# Hits come best first, and each says why it is there: the parts add up to the score.

# %%
for hit in memory.recall("What should I not eat?", user="ana", k=2):
    parts = {name: round(part, 2) for name, part in hit.reasons.items() if abs(part) > 0.01}
    print(f"{hit.score:.2f}", hit.note.content, parts)

# %% [markdown]
# In a prompt they are quoted data, within a budget of tokens.

# %%
print(memory.recall("Where does my sister live?", user="ana", k=2).context(max_tokens=120))

# %% [markdown]
# ## Things change
#
# A newer statement ends the older one. Nothing is overwritten: the old note answers for its time.

# %%
clock.advance(days=90)
moved = memory.remember("My sister Lena moved to Faro.", user="ana")
print(moved.status, [memory.get(id, user="ana").content for id in moved.superseded])
print("now: ", memory.recall("Where does Lena live?", user="ana")[0].note.content)
print("then:", memory.recall("Where does Lena live?", user="ana", as_of="2026-02-01")[0].note.content)

# %% [markdown]
# ## Others see nothing of it

# %%
print(len(memory.recall("Where does Lena live?", user="ben")), "notes for Ben")

# %% [markdown]
# ## Why two notes hang together

# %%
notes = memory.notes(user="ana")
print(memory.why_linked(notes[1].id, notes[2].id, user="ana"))
for a, b, link in memory.graph(user="ana").edges(data=True):
    print(link["kind"], "·", memory.get(a, user="ana").content, "→", memory.get(b, user="ana").content)

# %% [markdown]
# ## Values under keys

# %%
memory.put(("users", "ana"), "profile", {"city": "Braga", "diet": "no walnuts"}, user="ana")
print(memory.get(("users", "ana"), "profile", user="ana").value)
print(memory.recall("Braga", user="ana")[0].note.kind)

# %% [markdown]
# ## Forget
#
# From everywhere, and looked at again.

# %%
receipt = memory.forget(moved.id, user="ana")
print("gone:", receipt.gone, dict(receipt.places))
print("again:", memory.recall("Where does Lena live?", user="ana")[0].note.content)
memory.close()

# %% [markdown]
# Forgetting what ended a fact brings the fact back. Next: [a fact's life](life_of_a_fact.ipynb), from a remark into a model's weights, and out again.
