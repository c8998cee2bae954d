"""Commands that run and collect many experiments. They keep the books; DVC runs and records."""
