"""What every editor shares: its state, its contexts, and the course of a write, a deletion and a load."""
