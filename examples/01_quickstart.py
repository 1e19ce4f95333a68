"""Remember, recall, forget: a memory in a directory, no server, no key, no network."""

import tempfile

from agentmem import Memory

with tempfile.TemporaryDirectory() as directory, Memory(directory) as memory:
    memory.remember("My sister Lena lives in Porto.")
    memory.remember("I am allergic to walnuts.")
    receipt = memory.remember("My favourite food is couscous.")
    print("stored:", receipt.status, receipt.id)

    for hit in memory.recall("What should I not eat?", k=2):
        print(f"{hit.score:.2f}  {hit.note.content}")

    # A newer statement closes the older one; nothing is overwritten.
    changed = memory.remember("My favourite food is ramen.")
    print(changed.status, "→", [memory.get(old).content for old in changed.superseded])

    # Notes go into a prompt as quoted data, within a budget of tokens.
    print(memory.recall("favourite food").context(max_tokens=120))

    gone = memory.forget(changed.id)
    print("forgotten everywhere:", gone.gone, dict(gone.places))
