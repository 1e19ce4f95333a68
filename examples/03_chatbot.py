"""A chatbot with a memory, on the small model that comes along. Swap in any model:

ChatAgent(lambda messages: "…", memory)                                   a function
ChatAgent("http://127.0.0.1:8000/v1", memory, model_name="my-model")      a server
ChatAgent((model, tokenizer), memory)                                     a transformers model

In an async program: AsyncChatAgent(client, AsyncMemory(path)), with `await agent.chat(text)`.
"""

from agentmem import Memory
from agentmem.integrations.chat import ChatAgent
from agentmem.notes.clock import ManualClock

clock = ManualClock()
with Memory(clock=clock) as memory:
    monday = ChatAgent("small", memory, user="ana", session="monday")
    for text in ("Hello!", "I live in Lisbon.", "I work as a translator.", "My hobby is pottery."):
        clock.advance(minutes=1)
        print("ana  ›", text)
        print("bot  ›", monday.chat(text))

    # A week later, in a new conversation: what was said comes from memory, as quoted notes in the prompt.
    clock.advance(days=7)
    later = ChatAgent(None, memory, user="ana", session="a week later")
    for text in ("Where do I live?", "What do I do for a living?"):
        clock.advance(minutes=1)
        print("ana  ›", text)
        print("bot  › ", end="")
        for piece in later.stream(text):
            print(piece, end="", flush=True)
        reply = later.last
        assert reply is not None
        print(
            f"\n       from the {reply.source}, {reply.prompt_tokens} prompt tokens, used {[n.content for n in reply.used]}"
        )

    # Another user shares the memory, and sees nothing of Ana's.
    stranger = ChatAgent(None, memory, user="ben")
    print("ben  › Where does Ana live?")
    answer = stranger.chat("Where does Ana live?")
    print("bot  ›", answer, "- notes in the prompt:", len(answer.notes))
