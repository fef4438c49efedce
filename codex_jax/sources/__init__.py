"""Where source documents come from: a registry of sources by prefix, each in parts that workers read."""
