"""The values of the memory, what a store is asked, and the guard between: nothing here imports anything above it."""
