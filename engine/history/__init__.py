"""The fold read at other offsets: what two moments differ in. It applies nothing and keeps nothing."""
