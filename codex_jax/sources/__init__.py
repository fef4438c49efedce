"""Sources of documents, selected by a prefix such as dir: or jsonl:."""
