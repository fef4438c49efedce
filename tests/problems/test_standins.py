import json

from codex_jax.problems.standins import BUILD, describe, stand_in_for

CLASSES = """
class Node:
    def __init__(self, data, left=None):
        self.data, self.left, self.right = data, left, None
"""


def build(*arguments):
    """The arguments after their way to a program, in which the class Node is defined."""
    names: dict = {}
    exec(CLASSES, names)
    scope: dict = {"names": names}
    exec(BUILD, scope)
    return names["Node"], scope["_build"](json.loads(json.dumps(describe(arguments))))


def test_objects_are_built_from_their_arguments_and_attributes():
    node = stand_in_for("Node")
    tree = node(1, node(2))
    tree.right = node(3)
    tree.right.data = [4]
    Node, (root, number) = build(tree, 7)
    assert number == 7
    assert type(root) is type(root.left) is type(root.right) is Node
    assert (root.data, root.left.data, root.right.data, root.right.right) == (1, 2, [4], None)


def test_an_object_that_occurs_twice_stays_one_object():
    node = stand_in_for("Node")
    shared = node(1)
    other = node(shared, shared)
    _, (first, pair, second) = build(shared, other, node(1))
    assert pair.data is pair.left is first
    assert second is not first


def test_objects_inside_collections():
    node = stand_in_for("Node")
    _, (nodes, by_name, pair, numbers) = build([node(1), node(2)], {"a": node(3)}, (node(4), "x"), {5, 6})
    assert [each.data for each in nodes] == [1, 2]
    assert by_name["a"].data == 3
    assert (type(pair), pair[0].data, pair[1]) == (tuple, 4, "x")
    assert numbers == {5, 6}
