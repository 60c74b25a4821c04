"""One input to many outputs: what each output gets, whatever becomes of the others."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from terzetto.errors import AddressInUse, InvalidOption, NoRoute
from terzetto.gateway.output import QUEUE_LIMIT
from terzetto.gateway.route import Route

from .fakes import ListSink, ListSource, Notices, joined, numbered, sink_plan, source_plan


async def test_every_output_gets_everything_in_order(autojump_clock: MockClock) -> None:
    batches = numbered(50)
    one, other = ListSink(), ListSink(takes_at_once=False, seconds=0.003)
    route = Route(source_plan(ListSource(batches)), [sink_plan(one), sink_plan(other)], notice=Notices())
    await route.run()
    assert one.got == other.got == joined(batches)
    assert route.all_done
    reports = route.reports()
    assert [(report.role, report.packets, report.octets) for report in reports] == [
        ("input", 200, 1200),
        ("output", 200, 1200),
        ("output", 200, 1200),
    ]


async def test_an_output_that_is_writable_needs_no_task_switch(autojump_clock: MockClock) -> None:
    sink = ListSink()
    route = Route(source_plan(ListSource(numbered(30))), [sink_plan(sink)], notice=Notices())
    await route.run()
    assert sink.at_once == 30


async def test_an_output_nobody_answers_does_not_hold_up_the_others(autojump_clock: MockClock) -> None:
    batches = numbered(100)
    good, dead = ListSink(), ListSink()
    dead.ready = trio.Event()
    route = Route(source_plan(ListSource(batches)), [sink_plan(dead), sink_plan(good)], notice=Notices())
    began = trio.current_time()
    with trio.move_on_after(1.0 + 0.05) as reading:
        await route.run()
    assert reading.cancelled_caught  # at the end the dead one gets a last chance
    assert good.got == joined(batches)
    assert good.at_once == 100
    assert trio.current_time() - began < 1.1


async def test_an_output_that_was_never_ready_is_given_up_and_said(autojump_clock: MockClock) -> None:
    good, dead = ListSink(), ListSink()
    dead.ready = trio.Event()
    notices = Notices()
    route = Route(source_plan(ListSource(numbered(10))), [sink_plan(dead), sink_plan(good)], notice=notices)
    await route.run()
    assert not route.all_done
    assert [notice.text for notice in notices.named("gave_up")] == [
        "was never ready; 40 packets were not sent"
    ]
    assert route.reports()[1].shed == 40
    assert dead.is_closed


async def test_an_output_whose_reader_went_away_does_not_hold_up_the_end(autojump_clock: MockClock) -> None:
    left = ListSink()
    notices = Notices()
    source = ListSource(numbered(200))
    route = Route(source_plan(source), [sink_plan(left)], notice=notices)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(route.run)
        await trio.sleep(1.0)
        left.ready = trio.Event()
        left.takes_at_once = False
        await trio.sleep(0.5)
        route.stop()
        stopped = trio.current_time()
    assert trio.current_time() - stopped < 5
    assert not route.all_done
    (gave_up,) = notices.named("gave_up")
    sent = route.reports()[-1].packets
    assert (
        gave_up.text
        == f"nobody was there any more; {route.reports()[0].packets - sent} packets were not sent"
    )
    assert left.got == joined(numbered(200))[:sent]
    assert left.is_closed


async def test_an_output_that_is_slow_but_there_is_waited_for_at_the_end(autojump_clock: MockClock) -> None:
    slow = ListSink(takes_at_once=False, seconds=30.0)
    route = Route(source_plan(ListSource(numbered(100))), [sink_plan(slow)], notice=Notices())
    await route.run()
    assert route.all_done
    assert slow.got[-400:] == joined(numbered(100))[-400:]


async def test_a_full_queue_sheds_the_oldest_and_says_so(autojump_clock: MockClock) -> None:
    size = 1024
    batches = numbered(64, size)
    stuck = ListSink(takes_at_once=False, seconds=3.0)
    notices = Notices()
    route = Route(source_plan(ListSource(batches)), [sink_plan(stuck)], notice=notices)
    await route.run()
    everything = joined(batches)
    shed = route.reports()[1].shed
    assert shed > 0
    assert len(stuck.got) + shed == len(everything)
    assert stuck.got[-QUEUE_LIMIT:] == everything[-QUEUE_LIMIT:]
    assert stuck.got == sorted(stuck.got)
    assert "does not keep up" in notices.named("shedding")[0].text


async def test_what_waited_too_long_for_a_receiver_is_not_sent_late(autojump_clock: MockClock) -> None:
    batches = numbered(300)  # three seconds
    sink = ListSink()
    sink.ready = trio.Event()
    route = Route(source_plan(ListSource(batches)), [sink_plan(sink)], notice=Notices())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(route.run)
        await trio.sleep(2.0)
        sink.ready.set()
    everything = joined(batches)
    assert sink.got == everything[-len(sink.got) :]
    # The last second, and the half one before it that was fresh enough.
    assert 1.4 < len(sink.got) / 400 < 1.6


async def test_a_source_at_full_speed_is_held_back_by_its_outputs(autojump_clock: MockClock) -> None:
    batches = numbered(60, 1024)
    slow = ListSink(takes_at_once=False, seconds=0.5)
    route = Route(source_plan(ListSource(batches, every=0.0, bulk=True)), [sink_plan(slow)], notice=Notices())
    await route.run()
    assert slow.got == joined(batches)
    assert route.reports()[1].shed == 0


async def test_a_stalled_output_does_not_hold_back_a_source_for_ever(autojump_clock: MockClock) -> None:
    batches = numbered(60, 1024)
    good, stalled = ListSink(), ListSink(takes_at_once=False, seconds=1e6)
    route = Route(
        source_plan(ListSource(batches, every=0.0, bulk=True)),
        [sink_plan(stalled), sink_plan(good)],
        notice=Notices(),
    )
    with trio.move_on_after(60):
        await route.run()
    assert good.got == joined(batches)


async def test_an_output_that_fails_is_opened_again(autojump_clock: MockClock) -> None:
    batches = numbered(400)
    broken, mended, bystander = ListSink(), ListSink(), ListSink()
    began = trio.current_time()
    broken.fails = lambda: NoRoute("the cable is out") if trio.current_time() - began > 1.0 else None
    notices = Notices()
    route = Route(
        source_plan(ListSource(batches)),
        [sink_plan(broken, NoRoute("still out"), mended), sink_plan(bystander)],
        notice=notices,
    )
    await route.run()
    assert [notice.text for notice in notices.named("failed")] == [
        "the cable is out; trying again in 1 s",
        "still out; trying again in 2 s",
    ]
    assert len(notices.named("reopened")) == 1
    assert broken.is_closed
    assert mended.got == joined(batches)[-len(mended.got) :]
    assert mended.got
    assert bystander.got == joined(batches)
    assert route.all_done


async def test_when_no_output_can_be_opened_the_reason_is_raised(autojump_clock: MockClock) -> None:
    source = ListSource(numbered(5), ends=False)
    route = Route(
        source_plan(source),
        [sink_plan(AddressInUse("taken")), sink_plan(NoRoute("nowhere"))],
        notice=Notices(),
    )
    with pytest.raises(AddressInUse, match="taken"):
        await route.run()
    assert source.is_closed


async def test_one_output_that_cannot_be_opened_does_not_stop_the_others(autojump_clock: MockClock) -> None:
    good = ListSink()
    notices = Notices()
    route = Route(
        source_plan(ListSource(numbered(5))),
        [sink_plan(AddressInUse("taken")), sink_plan(good)],
        notice=notices,
    )
    await route.run()
    assert good.got == joined(numbered(5))
    assert notices.named("failed")[0].level == "warning"
    assert not route.all_done


async def test_a_callers_mistake_in_an_output_ends_the_route(autojump_clock: MockClock) -> None:
    route = Route(
        source_plan(ListSource(numbered(5), ends=False)),
        [sink_plan(InvalidOption("cannot be")), sink_plan(ListSink())],
        notice=Notices(),
    )
    with pytest.raises(InvalidOption):
        await route.run()


async def test_stopping_still_sends_what_waits(autojump_clock: MockClock) -> None:
    slow = ListSink(takes_at_once=False, seconds=0.3)
    source = ListSource(numbered(100), ends=False)
    route = Route(source_plan(source), [sink_plan(slow)], notice=Notices())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(route.run)
        await trio.sleep(0.505)
        route.stop()
    read = route.reports()[0].packets
    assert read == 4 * 50
    assert slow.got == joined(numbered(100))[:read]
    assert slow.is_closed
    assert source.is_closed


async def test_when_every_reader_has_gone_the_route_ends(autojump_clock: MockClock) -> None:
    sink = ListSink(takes_at_once=False)
    sink.fails = lambda: BrokenPipeError(32, "Broken pipe")
    route = Route(source_plan(ListSource(numbered(5), ends=False)), [sink_plan(sink)], notice=Notices())
    with trio.fail_after(5):
        await route.run()
    assert route.is_deserted
    assert not route.all_done


async def test_idle_means_that_nothing_came_after_something_had(autojump_clock: MockClock) -> None:
    route = Route(
        source_plan(ListSource(numbered(100, 1), ends=False)), [sink_plan(ListSink())], notice=Notices()
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(route.run)
        began = trio.current_time()
        await route.wait_idle(0.5)
        assert trio.current_time() - began == pytest.approx(1.5, abs=0.02)
        route.stop()
