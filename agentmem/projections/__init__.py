"""What is made from notes and can be made again: full text, links, passages, and what they are compared by."""
