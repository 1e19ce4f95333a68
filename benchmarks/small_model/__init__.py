"""Training and measuring the small model that ships with agentmem."""
