"""What a part from outside must be, one module a kind: checked when it is named."""
