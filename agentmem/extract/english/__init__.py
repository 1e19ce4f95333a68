"""How English says things: facts and their ends, names, times."""
