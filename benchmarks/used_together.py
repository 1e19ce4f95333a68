"""Do links between notes that were used together help other questions? LoCoMo, one half of the questions used, the other half asked.

python -m benchmarks.used_together --data locomo.json [--conversations 2] [--out benchmarks/results/used_together.json]

Each question of the first half reinforces its evidence in one call, a minute after the conversation's end; then both halves are asked.
Only the setting ``recall.together`` differs between the runs, so whatever the curve does is the same in all of them.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

from agentmem import Memory
from agentmem.notes.clock import ManualClock
from agentmem.notes.protocols import Embedder
from agentmem.recall.weights import RankingWeights
from benchmarks.locomo import Conversation, Question, load
from benchmarks.vector_cache import CachedEmbedder

K = 10
GAINS = (0.0, 0.1, 0.3)


def measure(conversation: Conversation, embedder: Embedder, gain: float, seed: int = 3) -> dict[str, tuple[float, int]]:
    """(recall@10, questions) of the half that was not used, of its questions that need several turns, and of the used half."""
    clock = ManualClock(max(turn.at for turn in conversation.turns) + timedelta(minutes=1))
    with Memory(None, embedder=embedder, clock=clock, ranking=RankingWeights(together=gain)) as memory:
        receipts = memory.remember_many(conversation.items(), progress=False)
        ids = {turn.id: str(receipt.id) for turn, receipt in zip(conversation.turns, receipts, strict=True)}
        turns = defaultdict(list)
        for turn, id in ids.items():
            turns[id].append(turn)
        questions = list(conversation.questions)
        random.Random(seed).shuffle(questions)
        used, fresh = questions[: len(questions) // 2], questions[len(questions) // 2 :]
        for question in used:
            memory.reinforce([ids[turn] for turn in question.evidence if turn in ids], user=conversation.name)

        def recall(asked: list[Question]) -> tuple[float, int]:
            total = 0.0
            for question in asked:
                hits = memory.recall(question.text, k=K, user=conversation.name)
                found = {turn for hit in hits for turn in turns[hit.note.id]}
                total += len(found & set(question.evidence)) / len(question.evidence)
            return total / len(asked), len(asked)

        several = [question for question in fresh if len(question.evidence) > 1]
        return {"other half": recall(fresh), "other half, several turns": recall(several), "used half": recall(used)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--conversations", type=int, default=2)
    parser.add_argument("--vectors", type=Path, help="keeps embeddings between runs (.npz)")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found: dict[str, dict[str, dict[str, tuple[float, int]]]] = {}
    with CachedEmbedder.open(given.vectors) as embedder:
        for conversation in load(given.data)[: given.conversations]:
            found[conversation.name] = {}
            for gain in GAINS:
                found[conversation.name][str(gain)] = measure(conversation, embedder, gain)
                print(conversation.name, gain, found[conversation.name][str(gain)], flush=True)
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
