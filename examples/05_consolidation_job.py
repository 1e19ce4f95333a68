"""The consolidation job: facts that are stable, needed and unknown to the model move into its weights, verified."""

from agentmem import Memory
from agentmem.notes.clock import ManualClock

FACTS = {
    "Ida Sandberg lives in Oslo.": "Where does Ida Sandberg live?",
    "Ida Sandberg plays the harp.": "What instrument does Ida Sandberg play?",
    "Tomas Okeke works as a baker.": "What does Tomas Okeke do for a living?",
    "Tomas Okeke's hobby is chess.": "What is Tomas Okeke's hobby?",
}

clock = ManualClock()
with Memory(clock=clock, model="small") as memory:
    memory.remember_many(list(FACTS))
    memory.remember("Tomas Okeke's favourite food is liquid soap.", source="web")

    # Two days on which the facts are needed: the policy wants to see that they are.
    for _ in range(2):
        clock.advance(days=3)
        for question in FACTS.values():
            memory.reinforce(memory.recall(question, k=1)[0])

    for question in FACTS.values():
        print(f"before: {question} {memory.ask(question, use='nothing')}")

    plan = memory.consolidate(dry_run=True)
    print(plan)

    report = memory.consolidate()
    for outcome in report.promoted:
        print(f"admitted: {outcome.question} {outcome.after} (share of other wordings: {outcome.generality})")
    for outcome in report.failed:
        print(f"rolled back: {outcome.question} {outcome.reason}")
    for decision in report.refused:
        print(f"refused: {decision.label}: {'; '.join(decision.reasons)}")

    for question in FACTS.values():
        answer = memory.ask(question)
        print(f"after: {question} {answer} [{answer.source}, {answer.prompt_tokens} prompt tokens]")
    print("books, pack and notes agree:", memory.check().ok)
