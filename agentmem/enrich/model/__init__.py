"""What a language model is asked about notes, and how its answers are judged: prompts, shapes, bounded retries.

A-MEM (Xu et al. 2025): note construction, links, evolution of neighbours. MemoryBank (Zhong et al. 2024): day summary and
portrait. Think-in-Memory (Liu et al. 2023): thoughts that are inserted, merged and forgotten. Everything here is pure but
for the calls of the model; what acts on the answers is :mod:`agentmem.enrich.describe` and :mod:`agentmem.enrich.reflect`.
"""
