"""From a question to an answer, or to what is not known."""
