"""General questions whose answers must not change when a fact is written."""

from __future__ import annotations

__all__ = ["general_questions"]

_QUESTIONS = (
    "Hello!",
    "Who are you?",
    "What is the capital of France?",
    "How many days are there in a week?",
    "Thank you for your help.",
    "What colour is the sky on a clear day?",
    "Can you tell me a short story?",
    "What is two plus two?",
    "Which language do people speak in Brazil?",
    "Please write a sentence about the sea.",
    "How does a bicycle stay upright?",
    "What should I cook tonight?",
    "Where does the sun rise?",
    "Name three animals that live in the forest.",
    "What is the opposite of cold?",
    "How do you spell the word 'memory'?",
    "Who wrote Hamlet?",
    "What is water made of?",
    "Is a tomato a fruit?",
    "What comes after Tuesday?",
    "Where does Aldo Ferrante live?",
    "Who is the mayor of Port Ellery?",
    "What does the Norwick Trading Company make?",
    "When was the Harrow Institute founded?",
)


def general_questions() -> tuple[str, ...]:
    """Short prompts of many kinds, questions about people and places that nobody has heard of among them."""
    return _QUESTIONS
