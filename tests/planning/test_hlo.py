import pytest

from codex_jax.planning.hlo import read_computations, read_costs, read_group, sent_bytes, shape_bytes

# What a TPU's compiler writes, cut to what is read. Loops run 3 x 2 times; the asynchronous all-gather (channel 7) is
# repeated in the fusion that starts it, in one that continues it and in one that ends it.
PROGRAM = """\
HloModule jit_step, is_scheduled=true, num_partitions=4, entry_computation_layout={()->()}

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  ROOT %s = f32[] add(%a, %a)
}

%all-reduce-scatter.1 (p: bf16[8,128]) -> bf16[2,128] {
  %p = bf16[8,128]{1,0} parameter(0)
  %all-reduce.9 = bf16[8,128]{1,0} all-reduce(%p), channel_id=4, replica_groups={{0,1,2,3}}, to_apply=%add
  ROOT %d = bf16[2,128]{1,0} dynamic-slice(%all-reduce.9, %p)
}

%async_collective_fusion.1 (q: bf16[2,128]) -> (bf16[2,128], /*index=1*/u32[]) {
  %q = bf16[2,128]{1,0} parameter(0)
  %all-gather.1 = bf16[8,128]{1,0} all-gather(%q), channel_id=7, replica_groups=[1,4]<=[4], dimensions={0}, \
backend_config={"async_collective_fusion_config":{"flag_start":"2"}}
  ROOT %c = (bf16[2,128]{1,0}, u32[]) custom-call(%all-gather.1), custom_call_target="AsyncCollectiveStart"
}

%async_collective_fusion.2 (r: bf16[2,128]) -> bf16[8,128] {
  %r = bf16[2,128]{1,0} parameter(0)
  ROOT %all-gather.2 = bf16[8,128]{1,0} all-gather(%r), channel_id=7, replica_groups=[1,4]<=[4], dimensions={0}, \
backend_config={"async_collective_fusion_config":{"flag_start":"2"}}
}

%inner_condition (i: (s32[], bf16[2,128])) -> pred[] {
  %i = (s32[], bf16[2,128]{1,0}) parameter(0)
  %n = s32[]{:T(128)} constant(2)
  %g = s32[]{:T(128)} get-tuple-element(%i), index=0
  ROOT %lt = pred[]{:T(512)} compare(%g, %n), direction=LT
}

%inner_body (j: (s32[], bf16[2,128])) -> (s32[], bf16[2,128]) {
  %j = (s32[], bf16[2,128]{1,0}) parameter(0)
  %fusion.1 = (bf16[2,128]{1,0}, u32[]) fusion(%j), kind=kCustom, calls=%async_collective_fusion.1
  %fusion.2 = bf16[8,128]{1,0} fusion(%j), kind=kOutput, calls=%async_collective_fusion.2, \
backend_config={"window_config":{"estimated_cycles":"100"}}
  %fusion.3 = bf16[8,128]{1,0} fusion(%j), kind=kOutput, calls=%async_collective_fusion.2
  ROOT %t = (s32[], bf16[2,128]{1,0}) tuple(%j, %fusion.1)
}

%outer_body (k: (s32[], bf16[2,128])) -> (s32[], bf16[2,128]) {
  %k = (s32[], bf16[2,128]{1,0}) parameter(0)
  %w = (s32[], bf16[2,128]{1,0}) while(%k), condition=%inner_condition, body=%inner_body
  %splash = bf16[2,128]{1,0} custom-call(%k), custom_call_target="tpu_custom_call", metadata={op_name="step/splash_fwd"}
  %copy.1 = bf16[2,128]{0,1} copy(%splash), backend_config={"window_config":{"estimated_cycles":"5000"}}
  ROOT %u = (s32[], bf16[2,128]{1,0}) tuple(%k, %copy.1)
}

ENTRY %main.1_spmd (x: bf16[8,128]) -> bf16[2,128] {
  %x = bf16[8,128]{1,0} parameter(0)
  %fusion.4 = bf16[2,128]{1,0} fusion(%x), kind=kCustom, calls=%all-reduce-scatter.1
  %loop = (s32[], bf16[2,128]{1,0}) while(%x), condition=%none, body=%outer_body, \
backend_config={"known_trip_count":{"n":"3"}}
  %ar = (f32[64]{0}, f32[64]{0}) all-reduce(%x, %x), channel_id=1, replica_groups={{0,1},{2,3}}, to_apply=%add
  %ags = (bf16[2,128]{1,0}, bf16[8,128]{1,0}) all-gather-start(%x), channel_id=2, replica_groups=[1,4]<=[4]
  %agd = bf16[8,128]{1,0} all-gather-done(%ags)
  %alone = f32[64]{0} all-reduce(%x), channel_id=3, replica_groups={{0},{1},{2},{3}}, to_apply=%add
  ROOT %fusion.5 = bf16[2,128]{1,0} fusion(%x), kind=kLoop, calls=%add, backend_config={"estimated_cycles":"7"}
}
"""


def test_loops_multiply_and_an_asynchronous_collective_is_counted_once():
    costs = read_costs(PROGRAM)
    assert costs.cycles == 6 * 100 + 3 * 5000 + 7
    assert costs.custom_calls == {"step/splash_fwd": 3}
    part = 2 * 128 * 2
    assert costs.collective_bytes() == {
        "all-gather": 6 * 3 * part + 3 * part,
        "reduce-scatter": 3 * part,
        "all-reduce": 2 * 64 * 4,
        "all-to-all": 0,
        "collective-permute": 0,
    }
    assert [(c.kind, c.times) for c in costs.collectives if c.blocking] == [("reduce-scatter", 1), ("all-reduce", 1)]


def test_copies_are_bounded():
    assert read_costs(PROGRAM, lambda size: size / 2).cycles == 6 * 100 + 3 * 256 + 7


def test_the_entry_and_every_computation_are_found():
    entry, computations = read_computations(PROGRAM)
    assert entry == "main.1_spmd"
    assert [one.opcode for one in computations["outer_body"]] == ["parameter", "while", "custom-call", "copy", "tuple"]


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("replica_groups={{0,2},{1,3}}, x", (0, 2)),
        ("replica_groups=[2,4]<=[8]", (0, 1, 2, 3)),
        ("replica_groups=[4,2]<=[2,4]T(1,0)", (0, 4)),
        ("replica_groups=mesh['axis_0'=2,'axis_1'=4] {'axis_1'}, x", (0, 1, 2, 3)),
        ("replica_groups=mesh['axis_0'=2,'axis_1'=4] {'axis_0'}, x", (0, 4)),
        ("replica_groups=mesh['a'=2,'b'=4], device_ids=([4,2]T(1,0)) {'b'}, x", (0, 2, 4, 6)),
        ("replica_groups=mesh['a'=2,'b'=2] {'b','a'}, x", (0, 2, 1, 3)),
        ("source_target_pairs={{0,1},{1,0}}", (0, 1)),
        ("no groups: all", (0, 1, 2, 3, 4, 5, 6, 7)),
    ],
)
def test_groups_are_read_in_every_notation(text, group):
    assert read_group(text, 8) == group


def test_bytes_of_shapes_and_collectives():
    assert shape_bytes("(bf16[2,3]{1,0:T(8,128)(2,1)}, pred[5], s4[3], f32[])") == [12, 5, 2, 4]
    assert sent_bytes("all-gather", [400], 4, with_operand=False) == 300
    assert sent_bytes("all-gather", [100, 400], 4, with_operand=True) == pytest.approx(300)
    assert sent_bytes("reduce-scatter", [100], 4, with_operand=False) == 300
    assert sent_bytes("reduce-scatter", [400, 100], 4, with_operand=True) == pytest.approx(300)
    assert sent_bytes("all-to-all", [400, 400], 4, with_operand=True) == 300
    assert sent_bytes("all-reduce", [400], 4, with_operand=False) == 600
    assert sent_bytes("all-to-all", [400], 4, with_operand=False) == 300
    assert sent_bytes("collective-permute", [400, 400], 2, with_operand=True) == 400
