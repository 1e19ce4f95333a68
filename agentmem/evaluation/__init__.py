"""What measures a memory and its model: so far, a generated world whose facts are known."""
