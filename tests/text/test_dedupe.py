from codex_jax.text.dedupe import content_hash
from codex_jax.text.document import Document


def document(text, prompt=""):
    return Document("a/b.py", "a", "b.py", text, prompt)


def test_duplicates_differ_in_whitespace_alone():
    assert content_hash(document("a  b\n\tc")) == content_hash(document("a b c"))
    assert content_hash(document("a b c")) != content_hash(document("a bc"))
    assert content_hash(document("b", "a")) != content_hash(document("a b"))
