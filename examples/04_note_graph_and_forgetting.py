"""The note graph, and how notes fade: what is used stays strong, what is not steps back; nothing is lost."""

import tempfile
from pathlib import Path

from agentmem import Memory
from agentmem.graph.pictures import draw_curve, draw_graph
from agentmem.graph.view import communities, pagerank
from agentmem.notes import curves as forgetting
from agentmem.notes.clock import ManualClock

out = Path(tempfile.mkdtemp())
clock = ManualClock()
memory = Memory(clock=clock)

porto = memory.remember("Lena lives in Porto.").id
memory.remember("Lena works at Fernwick Labs as a glaciologist.")
memory.remember("Fernwick Labs is headquartered in Bergen.")
glacier = memory.remember("The glacier near Bergen lost nine metres last year.").id
bus = memory.remember("The bus was late this morning.").id

view = memory.graph()
for a, b, link in view.edges(data=True):
    print(f"{link['kind']:8} {view.nodes[a]['content'][:34]!r} – {view.nodes[b]['content'][:34]!r}: {link['reason']}")
print("communities:", len(communities(view)))
near = list(pagerank(view, memory.recall("Where does Lena live?", k=1)))[:2]
print("closest to the question:", [view.nodes[id]["content"] for id in near])
print(memory.why_linked(porto, glacier))
print("page:", memory.graph_page(out / "graph.html").name)
print("drawn:", draw_graph(view, out / "graph.png", title="Notes").name)

# One note is needed again and again; the other never.
reviews = []
for day in (3, 10, 30):
    clock.advance(days=day)
    memory.reinforce(memory.recall("Where does Lena live?", k=1)[0])
    reviews.append(clock.now())
clock.advance(days=400)

curve = forgetting.curve(memory.settings.forgetting.curve)
for name, id in (("used", porto), ("unused", bus)):
    state = memory.get(id).state
    print(f"{name:7} strength {curve.retrievability(state, clock.now()):.2f}, stability {state.stability:.0f} days")
points = forgetting.sample(memory.get(porto).state, curve, reviews[-1], clock.now())
print("drawn:", draw_curve(points, reviews[-1:], out / "curve.png", title="Lena lives in Porto.").name)

# Fading archives; a search that asks for faded notes still finds them.
print("would fade:", [note.content for note, _ in memory.fade(dry_run=True).faded])
report = memory.fade()
print("found by default:", bus in [hit.note.id for hit in memory.recall("the late bus")])
print("found with faded=True:", bus in [hit.note.id for hit in memory.recall("the late bus", faded=True)])
print("undone:", len(memory.unfade(report)), "notes")
memory.close()
