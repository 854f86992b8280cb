"""What users write: one pydantic model a kind; nothing below the edge of the engine sees them."""
