"""The epoch plan and the batched augmentation."""

import pytest
import torch
from torch import Tensor

from vision import augment
from vision.params import Augment

IMAGES = torch.randint(0, 256, (6, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator())
EVERY = torch.arange(6)


def draws(**rows: float) -> Tensor:
    """Draws of one half (no change) but for the rows named."""
    values = torch.full((augment.ROWS, 6), 0.5)
    for name, value in rows.items():
        values[getattr(augment, name)] = value
    return values


def test_a_plan_depends_on_seed_and_epoch_alone() -> None:
    first, again = augment.plan(50, 1, 3, Augment()), augment.plan(50, 1, 3, Augment())
    assert torch.equal(first.order, again.order)
    assert torch.equal(first.draws, again.draws)
    for other in (augment.plan(50, 2, 3, Augment()), augment.plan(50, 1, 4, Augment())):
        assert not torch.equal(first.order, other.order)
        assert not torch.equal(first.draws, other.draws)
    assert torch.equal(first.order.sort().values, torch.arange(50))


def test_a_balanced_plan_shows_each_class_as_often_and_its_images_evenly() -> None:
    classes = torch.tensor([0] * 70 + [1] * 20 + [3] * 9)
    plan = augment.plan(99, 1, 3, Augment(), classes=classes)
    assert torch.equal(plan.order, augment.plan(99, 1, 3, Augment()).order)
    shown = classes[plan.samples]
    assert [int((shown == k).sum()) for k in range(4)] == [33, 33, 0, 33]
    times = torch.bincount(plan.samples, minlength=99)
    assert times[:70].max() == 1
    assert set(times[70:90].tolist()) == {1, 2}
    assert set(times[90:].tolist()) == {3, 4}
    other = augment.plan(99, 1, 4, Augment(), classes=classes)
    assert not torch.equal(plan.samples.sort().values, other.samples.sort().values)


def test_each_pass_of_an_epoch_sees_every_sample_in_an_order_and_with_draws_of_its_own() -> None:
    plan = augment.plan(20, 1, 3, Augment(), passes=3)
    orders = plan.samples[plan.order].view(3, 20)
    assert all(torch.equal(order.sort().values, torch.arange(20)) for order in orders)
    assert not torch.equal(orders[0], orders[1])
    assert len(plan.draws.unique()) > 0.99 * plan.draws.numel()
    changes = Augment(flip="alternating")
    flips = [augment.plan(20, 1, e, changes, 3).draws[augment.FLIP].view(3, 20) for e in (1, 2)]
    turns = torch.cat(flips) < 0.5
    assert all(torch.equal(turns[i], ~turns[i + 1]) for i in range(5))


def test_a_sample_is_changed_the_same_way_in_any_batch() -> None:
    changes = Augment(flip=True, crop=2, rotation=20.0, zoom=0.1, shift=0.1)
    plan = augment.plan(6, 0, 1, Augment())
    whole = augment.take(IMAGES, EVERY, plan.draws, changes)
    index = torch.tensor([4, 1])
    part = augment.take(IMAGES, index, plan.draws[:, index], changes)
    torch.testing.assert_close(part, whole[index])


def test_flip_mirrors_half_of_the_images() -> None:
    there = IMAGES.permute(0, 3, 1, 2)
    flipped = augment.take(IMAGES, EVERY, draws(FLIP=0.1), Augment(flip=True))
    assert torch.equal(flipped, there.flip(3))
    assert torch.equal(augment.take(IMAGES, EVERY, draws(FLIP=0.9), Augment(flip=True)), there)


def test_crop_moves_by_whole_pixels_and_reflects_at_the_border() -> None:
    there = IMAGES.permute(0, 3, 1, 2)
    moved = augment.take(IMAGES, EVERY, draws(CROP_Y=0.99, CROP_X=0.5), Augment(crop=2))
    assert torch.equal(moved[:, :, :6], there[:, :, 2:])
    assert torch.equal(moved[:, :, 6], there[:, :, 6])  # 8 is mirrored at 7
    assert torch.equal(moved[:, :, 7], there[:, :, 5])


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    turned = augment.take(IMAGES, EVERY, draws(ROTATION=1.0), Augment(rotation=90.0))
    there = IMAGES.permute(0, 3, 1, 2).float()
    torch.testing.assert_close(turned, there.rot90(1, (2, 3)), atol=0.01, rtol=0)


def test_a_turn_keeps_the_shape_of_things_in_an_oblong_image() -> None:
    image = torch.zeros(1, 9, 17, 1, dtype=torch.uint8)
    image[0, 4, 8 - 3 : 8 + 4] = 255  # a bar of seven pixels, lying
    turned = augment.take(image, EVERY[:1], draws(ROTATION=1.0)[:, :1], Augment(rotation=90.0))
    upright = torch.zeros(9, 17)
    upright[4 - 3 : 4 + 4, 8] = 255
    torch.testing.assert_close(turned[0, 0], upright, atol=0.01, rtol=0)


def test_shift_and_zoom_leave_images_alone_in_the_middle_of_their_range() -> None:
    same = augment.take(IMAGES, EVERY, draws(), Augment(shift=0.2, zoom=0.2))
    there = IMAGES.permute(0, 3, 1, 2).float()
    torch.testing.assert_close(same, there, atol=0.01, rtol=0)
    moved = augment.take(IMAGES, EVERY, draws(SHIFT_X=1.0), Augment(shift=0.25))
    torch.testing.assert_close(moved[..., :6], there[..., 2:], atol=0.01, rtol=0)


def test_erase_blanks_one_rectangle_of_the_right_size() -> None:
    x = torch.ones(2000, 1, 32, 32)
    plan = augment.plan(2000, 0, 1, Augment())
    holes = augment.erase(x, plan.draws, Augment(erase=0.5)) == 0
    area = holes.float().mean((1, 2, 3))
    erased = area > 0
    assert erased.float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert area[erased].min() > 0.01
    assert area[erased].max() < 0.36
    rows, columns = holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)
    assert torch.equal(rows * columns, holes.sum((1, 2, 3)))


def test_alternating_flip_mirrors_each_image_in_every_other_epoch() -> None:
    changes = Augment(flip="alternating")
    there = IMAGES.permute(0, 3, 1, 2)
    first, second, third = (
        augment.take(IMAGES, EVERY, augment.plan(6, 0, epoch, changes).draws, changes)
        for epoch in (1, 2, 3)
    )
    mirrored = (first != there).flatten(1).any(1)
    assert 0 < mirrored.sum() < 6
    assert torch.equal(second, first.flip(3))
    assert torch.equal(third, first)


def test_mixup_blends_each_image_with_the_one_before_it() -> None:
    x = torch.arange(6.0)[:, None, None, None].expand(6, 1, 4, 4)
    mixed, share = augment.mix(x, draws(MIX_SHARE=0.25), Augment(mixup=0.4))
    assert share.tolist() == [0.25] * 6
    assert mixed[:, 0, 0, 0].tolist() == [1.25, 0.75, 1.75, 2.75, 3.75, 4.75]


def test_cutmix_pastes_a_rectangle_and_says_how_much_of_the_image_it_is() -> None:
    x = torch.arange(6.0)[:, None, None, None].expand(6, 1, 8, 8)
    mixed, share = augment.mix(x, draws(MIX_SHARE=0.25, MIX_Y=0.0), Augment(cutmix=1.0))
    other = x.roll(1, 0)[:, :, :1, :1]
    pasted = mixed == other
    assert (pasted | (mixed == x)).all()
    assert torch.equal(pasted.float().mean((1, 2, 3)), share)
    assert share.tolist() == [0.25] * 6
    assert pasted[:, 0, :4].sum() == pasted.sum()  # at the top


def test_shares_are_drawn_from_the_beta_distributions_that_are_asked_for() -> None:
    for changes in (Augment(mixup=0.2), Augment(cutmix=0.2)):
        share = augment.plan(4000, 0, 1, changes).draws[augment.MIX_SHARE]
        assert share.mean().item() == pytest.approx(0.5, abs=0.03)
        assert share.var().item() == pytest.approx(0.25 / 1.4, rel=0.05)
    both = augment.plan(4000, 0, 1, Augment(mixup=0.2, cutmix=50.0)).draws
    cut = both[augment.MIX] >= 0.5
    assert both[augment.MIX_SHARE, cut].std() < 0.1 < both[augment.MIX_SHARE, ~cut].std()


def test_mixing_leaves_the_other_draws_alone() -> None:
    plain, mixed = augment.plan(50, 0, 1, Augment()), augment.plan(50, 0, 1, Augment(mixup=1.0))
    assert torch.equal(plain.draws[: augment.MIX], mixed.draws[: augment.MIX])
    assert torch.equal(plain.order, mixed.order)
