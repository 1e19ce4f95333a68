"""Context and history of Microsoft's Agent Framework over a memory: its real agent, with a scripted chat client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest

if "AGENTMEM_FRAMEWORKS" not in os.environ:
    pytest.importorskip("agent_framework")

from agent_framework import (
    Agent,
    AgentSession,
    BaseChatClient,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
    ResponseStream,
)

from agentmem import AsyncMemory, Memory
from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.integrations.agent_framework import MemoryContextProvider, MemoryHistoryProvider


class Scripted(FunctionInvocationLayer, BaseChatClient):
    """Says one thing after another, whole or in two pieces, and keeps what it was shown."""

    def __init__(self, *says: str | Content) -> None:
        super().__init__()
        self.says = list(says)
        self.shown: list[tuple[str, list[Message]]] = []

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any
    ) -> Any:
        self.shown.append((str(options.get("instructions") or ""), list(messages)))
        said = self.says[len(self.shown) - 1]
        if said == "fails":
            raise RuntimeError("the model is away")

        async def whole() -> ChatResponse:
            return ChatResponse(messages=[Message(role="assistant", contents=[said])])

        async def pieces() -> AsyncIterable[ChatResponseUpdate]:
            parts = [said] if isinstance(said, Content) else [said[: len(said) // 2], said[len(said) // 2 :]]
            for part in parts:
                content = part if isinstance(part, Content) else Content.from_text(part)
                yield ChatResponseUpdate(role="assistant", contents=[content])

        return ResponseStream(pieces(), finalizer=ChatResponse.from_updates) if stream else whole()

    def told(self, turn: int = -1) -> str:
        """All the words that the model saw on a turn."""
        instructions, messages = self.shown[turn]
        return "\n".join([instructions, *(message.text for message in messages)])


@pytest.fixture
async def memory() -> AsyncIterator[AsyncMemory]:
    async with AsyncMemory(None, embedder="hash") as opened:
        yield opened


def session(id: str = "monday", user: str | None = None) -> AgentSession:
    made = AgentSession(session_id=id)
    if user is not None:
        made.state["user"] = user
    return made


def calls(name: str, **arguments: Any) -> Content:
    return Content.from_function_call(call_id=f"call-{name}", name=name, arguments=arguments)


# -- context -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_said_in_one_session_is_known_in_another(memory: AsyncMemory, stream: bool):
    client = Scripted("I'll keep that in mind.", "Then no walnut cake.", "Whatever you like.")
    agent = Agent(client, "Be kind.", context_providers=[MemoryContextProvider(memory, user="ana")])
    other = Agent(client, "Be kind.", context_providers=[MemoryContextProvider(memory, user="ben")])

    async def ask(who: Agent, text: str, where: AgentSession) -> str:
        if not stream:
            return (await who.run(text, session=where)).text
        return "".join([update.text async for update in who.run(text, session=where, stream=True)])

    assert await ask(agent, "I am allergic to walnuts.", session("monday")) == "I'll keep that in mind."
    assert await ask(agent, "May I eat cake? I am allergic to something.", session("tuesday")) == "Then no walnut cake."
    await ask(other, "May I eat cake? I am allergic to something.", session("wednesday"))

    instructions, messages = client.shown[1]
    assert instructions.startswith("Be kind.")
    assert "allergic to walnuts" in instructions
    assert not any("walnuts" in message.text for message in messages)
    assert "walnuts" not in client.told(2)
    notes = await memory.notes(user="ana")
    assert [(note.actor, note.scope.session) for note in notes] == [
        ("user", "monday"), ("assistant", "monday"), ("user", "tuesday"), ("assistant", "tuesday"),
    ]  # fmt: skip


async def test_recalled_text_is_kept_by_no_session_and_remembered_no_second_time(memory: AsyncMemory):
    await memory.remember("Ana is allergic to walnuts.", user="ana")
    client = Scripted("Take the apple pie.", "As I said.")
    agent = Agent(client, context_providers=[MemoryContextProvider(memory, user="ana")])
    where = session()
    await agent.run("What can I eat, being allergic?", session=where)
    await agent.run("Really? Allergic as I am?", session=where)

    assert "walnuts" in client.told(1)
    assert "walnuts" not in str(where.to_dict())
    assert sum("walnuts" in note.content for note in await memory.notes(user="ana")) == 1


async def test_an_answer_that_repeats_a_note_is_forgotten_with_it(memory: AsyncMemory):
    secret = await memory.remember("The code of the safe is 4711.", user="ana")
    client = Scripted("It is 4711.")
    agent = Agent(client, context_providers=[MemoryContextProvider(memory, user="ana")])
    await agent.run("What is the code of the safe?", session=session())

    assert secret.id is not None
    await memory.forget(secret.id, user="ana")
    assert [note.content for note in await memory.notes(user="ana")] == ["What is the code of the safe?"]


async def test_whose_a_run_is_may_depend_on_its_session(memory: AsyncMemory):
    client = Scripted("Noted.", "Noted.", "You collect stamps.", "You collect coins.")
    agent = Agent(client, context_providers=[MemoryContextProvider(memory, user=lambda run: run.state["user"])])
    await asyncio.gather(
        agent.run("I collect stamps.", session=session("a", "ana")),
        agent.run("I collect coins.", session=session("b", "ben")),
    )
    await agent.run("What do I collect?", session=session("c", "ana"))
    await agent.run("What do I collect?", session=session("d", "ben"))

    assert "stamps" in client.told(2)
    assert "coins" not in client.told(2)
    assert "coins" in client.told(3)
    assert "stamps" not in client.told(3)


@pytest.mark.parametrize("name", [None, "", "  ", 7])
async def test_a_session_of_nobody_is_not_everybodys(memory: AsyncMemory, name: Any):
    agent = Agent(Scripted("Hello."), context_providers=[MemoryContextProvider(memory, user=lambda run: name)])

    with pytest.raises(InvalidArgument, match="whose the session is"):
        await agent.run("I collect stamps.", session=session())
    assert not await memory.notes()


async def test_a_run_that_fails_is_not_remembered(memory: AsyncMemory):
    agent = Agent(Scripted("fails"), context_providers=[MemoryContextProvider(memory, user="ana")])

    with pytest.raises(RuntimeError, match="away"):
        await agent.run("I collect stamps.", session=session())
    assert not await memory.notes(user="ana")


async def test_what_cannot_be_a_note_takes_nothing_with_it(memory: AsyncMemory):
    agent = Agent(Scripted("x" * 70_000), context_providers=[MemoryContextProvider(memory, user="ana")])

    assert len((await agent.run("I collect stamps.", session=session())).text) == 70_000
    assert [note.content for note in await memory.notes(user="ana")] == ["I collect stamps."]


async def test_without_remember_nothing_is_kept(memory: AsyncMemory):
    agent = Agent(Scripted("Fine."), context_providers=[MemoryContextProvider(memory, user="ana", remember=False)])
    await agent.run("I collect stamps.", session=session())

    assert not await memory.notes(user="ana")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_uses_the_tools_within_its_users_scope(memory: AsyncMemory, stream: bool):
    await memory.remember("Ben's code is 1234.", user="ben")
    client = Scripted(
        calls("remember", text="Ana's door code is 4711."), calls("recall", query="code", user="ben"),
        calls("recall", query="door code"), "It is 4711.",
    )  # fmt: skip
    provider = MemoryContextProvider(memory, user="ana", remember=False, tools=True)
    agent = Agent(client, context_providers=[provider])
    if stream:
        assert [update async for update in agent.run("What is my code?", session=session(), stream=True)]
    else:
        await agent.run("What is my code?", session=session())

    results = [str(c.result) for m in client.shown[-1][1] for c in m.contents if c.type == "function_result"]
    assert results[0].startswith("Remembered.")
    assert "1234" not in "".join(results)  # neither asked for nor found
    assert "4711" in results[2]
    assert [note.content for note in await memory.notes(user="ana")] == ["Ana's door code is 4711."]


async def test_forget_is_offered_only_where_it_is_asked_for(memory: AsyncMemory):
    provider, careful = (
        MemoryContextProvider(memory, user="ana", forget=True),
        MemoryContextProvider(memory, user="ana"),
    )

    assert [tool.name for tool in provider._tools] == ["recall", "remember", "forget"]
    assert careful._tools == ()


# -- history -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_goes_on_after_a_restart(open_memory: Callable[..., Memory], stream: bool):
    """Calls of tools and their results too, in their order; over a memory that blocks."""

    def weather(city: str) -> str:
        """The weather of a city."""
        return f"It rains in {city}."

    async def ask(agent: Agent, text: str) -> None:
        if stream:
            async for _ in agent.run(text, session=session(), stream=True):
                pass
        else:
            await agent.run(text, session=session())

    first = open_memory()
    client = Scripted(calls("weather", city="Porto"), "Take an umbrella.")
    await ask(
        Agent(client, tools=[weather], context_providers=[MemoryHistoryProvider(first, user="ana")]), "And today?"
    )
    first.close()

    client = Scripted("Yes.")
    provider = MemoryHistoryProvider(open_memory(), user="ana")
    await ask(Agent(client, context_providers=[provider]), "Really?")
    kept = [(message.role, [content.type for content in message.contents]) for message in client.shown[0][1]]
    assert kept == [
        ("user", ["text"]), ("assistant", ["function_call"]), ("tool", ["function_result"]), ("assistant", ["text"]),
        ("user", ["text"]),
    ]  # fmt: skip
    messages = await provider.get_messages("monday")
    assert [message.text for message in messages] == ["And today?", "", "", "Take an umbrella.", "Really?", "Yes."]
    assert "It rains in Porto." in str(messages[2].to_dict())


async def test_equal_words_stay_two_messages_and_a_replay_adds_none(memory: AsyncMemory):
    history = MemoryHistoryProvider(memory, user="ana")
    yes, sure = Message(role="user", contents=["Yes."]), Message(role="assistant", contents=["Sure?"])
    await history.save_messages("monday", [yes, sure])
    await history.save_messages("monday", [yes])
    await history.save_messages("monday", [yes, sure, yes, sure])  # the whole conversation, and one more
    await history.save_messages("monday", [Message(role="user", contents=["Well."], message_id="m1")])
    await history.save_messages("monday", [Message(role="user", contents=["Well."], message_id="m1")])

    assert [m.text for m in await history.get_messages("monday")] == ["Yes.", "Sure?", "Yes.", "Sure?", "Well."]


async def test_sessions_and_users_and_sources_have_histories_of_their_own(memory: AsyncMemory):
    ana, ben = MemoryHistoryProvider(memory, user="ana"), MemoryHistoryProvider(memory, user="ben")
    audit = MemoryHistoryProvider(memory, user="ana", source_id="audit")
    await ana.save_messages("monday", [Message(role="user", contents=["Hers."])])
    await ben.save_messages("monday", [Message(role="user", contents=["His."])])

    assert [m.text for m in await ana.get_messages("monday")] == ["Hers."]
    assert [m.text for m in await ben.get_messages("monday")] == ["His."]
    assert await ana.get_messages("tuesday") == await audit.get_messages("monday") == []
    await ben.clear("monday")
    assert await ben.get_messages("monday") == []
    assert [m.text for m in await ana.get_messages("monday")] == ["Hers."]
    assert not await memory.recall("Hers", user="ana")  # a history is no memory unless it is asked for


async def test_a_recalled_history_is_one_with_the_memory(memory: AsyncMemory):
    """What the user said is kept once, found in other sessions, and forgotten from its conversation too."""
    history = MemoryHistoryProvider(memory, user="ana", recalled=True)
    client = Scripted("Noted.", "No walnut cake, then.")
    agent = Agent(client, context_providers=[history, MemoryContextProvider(memory, user="ana", remember=False)])
    await agent.run("I am allergic to walnuts.", session=session("monday"))
    await agent.run("May I eat cake, allergic as I am?", session=session("tuesday"))

    assert "walnuts" in client.shown[1][0]
    found = [
        hit.note for hit in await memory.recall("allergic to walnuts", user="ana") if "walnuts" in hit.note.content
    ]
    assert len(found) == 1
    await memory.forget(found[0].id, user="ana")
    assert [m.text for m in await history.get_messages("monday")] == ["Noted."]


@pytest.mark.parametrize("recalled", [True, ("user", "assistant")])
async def test_a_recalled_message_is_a_turn_of_who_said_it(recalled: object, memory: AsyncMemory):
    """Recall tells the user's words as the user's; an answer is found where that is wanted, as the model's, and states no facts."""
    history = MemoryHistoryProvider(memory, user="ana", recalled=recalled)
    agent = Agent(Scripted("Bo lives in Rome."), context_providers=[history])
    await agent.run("I live in Porto.", session=session("monday"))
    notes = [note for note in await memory.notes(user="ana") if note.actor is not None]
    by = {note.actor: note for note in notes}

    assert sorted(by) == (["user"] if recalled is True else ["assistant", "user"])
    assert by["user"].scope.session == "monday"
    assert "Porto" in by["user"].content
    assert by["user"].facts
    if recalled is not True:
        assert not by["assistant"].facts
        assert by["assistant"].trust < by["user"].trust
    with pytest.raises(InvalidArgument, match="whose words"):
        MemoryHistoryProvider(memory, user="ana", recalled="user")


async def test_whose_a_history_is_may_depend_on_its_session(memory: AsyncMemory):
    history = MemoryHistoryProvider(memory, user=lambda run: run.state["user"])
    agent = Agent(Scripted("Hello Ana.", "Hello Ben."), context_providers=[history])
    await agent.run("I am Ana.", session=session("same", "ana"))
    await agent.run("I am Ben.", session=session("same", "ben"))

    assert [m.text for m in await history.get_messages("same", user="ana")] == ["I am Ana.", "Hello Ana."]
    with pytest.raises(InvalidArgument, match="Whose"):
        await history.get_messages("same")
    with pytest.raises(InvalidArgument, match="which session"):
        await history.get_messages(None, user="ana")


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_messages_saved_at_once_are_all_kept(kind: str, memory: AsyncMemory, open_memory: Callable[..., Memory]):
    history = MemoryHistoryProvider(memory if kind == "async" else open_memory(), user="ana")
    await asyncio.gather(
        *(history.save_messages("monday", [Message(role="user", contents=[f"Number {n}."])]) for n in range(8))
    )

    assert sorted(m.text for m in await history.get_messages("monday")) == [f"Number {n}." for n in range(8)]


async def test_a_message_too_large_writes_none_of_its_turn(memory: AsyncMemory):
    history = MemoryHistoryProvider(memory, user="ana")

    with pytest.raises(AgentMemError, match="bytes of JSON"):
        await history.save_messages(
            "monday", [Message(role="user", contents=["small"]), Message(role="user", contents=["x" * 1_100_000])]
        )
    assert await history.get_messages("monday") == []


async def test_a_save_that_has_begun_is_carried_out_when_it_is_cancelled(memory: AsyncMemory):
    """All of a turn, or nothing."""
    history = MemoryHistoryProvider(memory, user="ana")
    turn = [Message(role=role, contents=[f"{role} says"]) for role in ("user", "assistant")]
    saving = asyncio.create_task(history.save_messages("monday", turn))
    await asyncio.sleep(0.002)
    saving.cancel()
    await asyncio.gather(saving, return_exceptions=True)

    assert len(await history.get_messages("monday")) in (0, 2)


def test_what_is_no_memory_is_refused():
    for made in (MemoryContextProvider, MemoryHistoryProvider):
        with pytest.raises(InvalidArgument, match="AsyncMemory"):
            made("my-memory", user="ana")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="k must"):
        MemoryContextProvider(Memory(None, embedder="hash"), user="ana", k=0)
