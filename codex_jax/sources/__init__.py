"""Sources of documents, selected by a prefix such as dir: or jsonl:. Each is split into parts that workers read."""
