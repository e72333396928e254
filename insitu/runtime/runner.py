"""The native loops that run a `Program`: LLVM text, and the layout of what they read.

``insitu_run(program)`` fills in the pointers of this call and runs the program's groups in order; if it is
to run them several times, pointers move on by their strides from turn to turn.
``insitu_worker(start)`` is what a worker thread does for life: wait for a region, take part, wait.

A *region* is one group run by several threads. Its work is cut into chunks, numbered through all
launches of the group; thread t owns the t-th of equal ranges of chunks, takes them one by one from
an atomic counter, and then helps the others in the same way. So a thread mostly meets the rows
that it wrote in the group before (they are in its cache), and a worker that is late, asleep or
missing delays nobody: whoever is there does the work.

The pool's ``state`` word is ``epoch << 32 | open << 31 | inside``. The caller opens a region by
raising the epoch; a worker enters by a compare-and-swap that adds one to ``inside`` while the
region is open; the caller closes it when no chunk is left and waits until ``inside`` is 0. A
worker that did not get in has not touched the region. If another thread of this process has the
pool, the caller runs the group alone, with the same bits.
"""

from __future__ import annotations

import enum
import re
import types

from insitu.errors import InternalError


class Header(enum.IntEnum):
    """Words of a program's head."""

    PATCHES = 0  # number of patches
    PATCH = 1  # their address: pairs (address of a word, index into POINTERS)
    POINTERS = 2  # address of the pointers of this call
    GROUPS = 3  # number of groups
    GROUP = 4  # address of the first group
    POOL = 5  # address of the thread pool, 0 if there is none
    TURNS = 6  # how often this call runs all groups
    STRIDE = 7  # address of the bytes by which each pointer of this call moves from turn to turn
    SIZE = 8


class Group(enum.IntEnum):
    """Words of a group."""

    LAUNCHES = 0  # number of launches
    LAUNCH = 1  # address of the first one
    THREADS = 2  # how many may take part; 1 = the caller alone
    RANGES = 3  # address of the chunk counters, 128 bytes per thread: next, end
    CHUNKS = 4  # number of chunks
    SCRATCH = 5  # address of the first thread's scratch
    STRIDE = 6  # bytes between two threads' scratch
    SIZE = 8


class Launched(enum.IntEnum):
    """Words of a launch."""

    FUNCTION = 0
    ARGS = 1
    WORDS = 2  # address of its runtime words
    UNITS = 3
    CHUNK = 4  # units in a chunk
    FIRST = 5  # the launch's first chunk in its group
    END = 6  # one past its last chunk
    SIZE = 7


class PoolAt(enum.IntEnum):
    """Byte offsets in the thread pool's block; what different threads write is 128 bytes apart."""

    STATE = 0
    OWNER = 128
    REGION = 256
    THREADS = 264
    STOP = 272
    ALIVE = 384
    SPINS = 512  # turns of the waiting loop before a worker goes to sleep
    LOCK = 520  # addresses of C library functions
    UNLOCK = 528
    WAIT = 536
    WAKE = 544
    YIELD = 552
    BEDS = 1024  # 10 beds; bed k is for workers 2**k to 2**(k+1) - 1
    BED_SIZE = 512
    WORKERS = 6144  # for each worker: pool, thread number, its bed
    WORKER_SIZE = 32


class BedAt(enum.IntEnum):
    """Byte offsets in a bed, where workers sleep. There are several, so that a region for few threads wakes few."""

    SLEEPERS = 0
    MUTEX = 128
    CONDITION = 256


_X86 = {
    "declare": "declare void @llvm.x86.sse.ldmxcsr(ptr)\ndeclare void @llvm.x86.sse.stmxcsr(ptr)\ndeclare void @llvm.x86.sse2.pause()",
    "pause": "call void @llvm.x86.sse2.pause()",
    "save": "  call void @llvm.x86.sse.stmxcsr(ptr %saved)",
    # 0x1F80: round to nearest, denormals kept, no traps.
    "set": "  store i32 8064, ptr %control\n  call void @llvm.x86.sse.ldmxcsr(ptr %control)",
    "restore": "  call void @llvm.x86.sse.ldmxcsr(ptr %saved)",
}
_ARM = {
    "declare": "declare i64 @llvm.aarch64.get.fpcr()\ndeclare void @llvm.aarch64.set.fpcr(i64)\ndeclare void @llvm.aarch64.isb(i32)",
    "pause": "call void @llvm.aarch64.isb(i32 15)",
    "save": "  %fpcr = call i64 @llvm.aarch64.get.fpcr()\n  store i64 %fpcr, ptr %saved",
    "set": "  call void @llvm.aarch64.set.fpcr(i64 0)",
    "restore": "  %old = load i64, ptr %saved\n  call void @llvm.aarch64.set.fpcr(i64 %old)",
}

_TEXT = """target triple = "{triple}"
{declare}

; Take chunks until none is left, first one's own, then the others'.
define private void @work(ptr %group, i64 %me) nounwind {{
entry:
  %threads = field i64 %group, {g.THREADS}
  %launches = field ptr %group, {g.LAUNCH}
  %ranges = field ptr %group, {g.RANGES}
  %base = field ptr %group, {g.SCRATCH}
  %stride = field i64 %group, {g.STRIDE}
  %offset = mul i64 %me, %stride
  %scratch = getelementptr i8, ptr %base, i64 %offset
  br label %victim
victim:
  %k = phi i64 [ 0, %entry ], [ %k1, %next ]
  %sum = add i64 %me, %k
  %over = icmp uge i64 %sum, %threads
  %less = sub i64 %sum, %threads
  %v = select i1 %over, i64 %less, i64 %sum
  %vb = mul i64 %v, 128
  %counter = getelementptr i8, ptr %ranges, i64 %vb
  %end = field i64 %counter, 1
  br label %look
look:
  %start = phi ptr [ %launches, %victim ], [ %launch, %run ]
  %seen = load atomic i64, ptr %counter monotonic, align 8
  %some = icmp ult i64 %seen, %end
  br i1 %some, label %take, label %next
take:
  %c = atomicrmw add ptr %counter, i64 1 monotonic
  %mine = icmp ult i64 %c, %end
  br i1 %mine, label %find, label %next
find:
  %launch = phi ptr [ %start, %take ], [ %following, %find ]
  %following = getelementptr i64, ptr %launch, i64 {l.SIZE}
  %stop = field i64 %launch, {l.END}
  %here = icmp ult i64 %c, %stop
  br i1 %here, label %run, label %find
run:
  %f = field ptr %launch, {l.FUNCTION}
  %args = field ptr %launch, {l.ARGS}
  %words = field ptr %launch, {l.WORDS}
  %units = field i64 %launch, {l.UNITS}
  %chunk = field i64 %launch, {l.CHUNK}
  %first = field i64 %launch, {l.FIRST}
  %nth = sub i64 %c, %first
  %from = mul i64 %nth, %chunk
  %till = add i64 %from, %chunk
  %cut = icmp ult i64 %till, %units
  %to = select i1 %cut, i64 %till, i64 %units
  call void %f(ptr %args, i64 %from, i64 %to, ptr %scratch, ptr %words)
  br label %look
next:
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %threads
  br i1 %more, label %victim, label %done
done:
  ret void
}}

; All launches of a group, in order, on this thread.
define private void @alone(ptr %group) nounwind {{
entry:
  %n = field i64 %group, {g.LAUNCHES}
  %launches = field ptr %group, {g.LAUNCH}
  %scratch = field ptr %group, {g.SCRATCH}
  br label %loop
loop:
  %k = phi i64 [ 0, %entry ], [ %k1, %loop ]
  %at = mul i64 %k, {l.SIZE}
  %launch = getelementptr i64, ptr %launches, i64 %at
  %f = field ptr %launch, {l.FUNCTION}
  %args = field ptr %launch, {l.ARGS}
  %words = field ptr %launch, {l.WORDS}
  %units = field i64 %launch, {l.UNITS}
  call void %f(ptr %args, i64 0, i64 %units, ptr %scratch, ptr %words)
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}}

; Wake the workers below that number that sleep (and fewer than as many above it).
define private void @wake(ptr %pool, i64 %threads) nounwind {{
entry:
  %lock_at = getelementptr i8, ptr %pool, i64 {p.LOCK}
  %unlock_at = getelementptr i8, ptr %pool, i64 {p.UNLOCK}
  %wake_at = getelementptr i8, ptr %pool, i64 {p.WAKE}
  %bed0 = getelementptr i8, ptr %pool, i64 {p.BEDS}
  br label %next
next:
  %first = phi i64 [ 1, %entry ], [ %first2, %after ]
  %bed = phi ptr [ %bed0, %entry ], [ %bed1, %after ]
  %wanted = icmp ult i64 %first, %threads
  br i1 %wanted, label %look, label %done
look:
  %sleepers_at = getelementptr i8, ptr %bed, i64 {b.SLEEPERS}
  %sleepers = load atomic i64, ptr %sleepers_at seq_cst, align 8
  %any = icmp ne i64 %sleepers, 0
  br i1 %any, label %call, label %after
call:
  %mutex = getelementptr i8, ptr %bed, i64 {b.MUTEX}
  %condition = getelementptr i8, ptr %bed, i64 {b.CONDITION}
  %lock = load ptr, ptr %lock_at
  %unlock = load ptr, ptr %unlock_at
  %wake = load ptr, ptr %wake_at
  %r0 = call i32 %lock(ptr %mutex)
  %r1 = call i32 %unlock(ptr %mutex)
  %r2 = call i32 %wake(ptr %condition)
  br label %after
after:
  %first2 = shl i64 %first, 1
  %bed1 = getelementptr i8, ptr %bed, i64 {p.BED_SIZE}
  br label %next
done:
  ret void
}}

; Raise the epoch, with or without an open region, and wake the sleepers below that number.
define private void @announce(ptr %pool, i64 %open, i64 %threads) nounwind {{
  %old = load atomic i64, ptr %pool monotonic, align 8
  %epoch = lshr i64 %old, 32
  %new_epoch = add i64 %epoch, 1
  %high = shl i64 %new_epoch, 32
  %bit = shl i64 %open, 31
  %new = or i64 %high, %bit
  store atomic i64 %new, ptr %pool seq_cst, align 8
  call void @wake(ptr %pool, i64 %threads)
  ret void
}}

; Tell the workers to leave; 0 if the pool was taken and nothing was told.
define i64 @insitu_dismiss(ptr %pool) nounwind {{
entry:
  %owner = getelementptr i8, ptr %pool, i64 {p.OWNER}
  %stop_at = getelementptr i8, ptr %pool, i64 {p.STOP}
  store atomic i64 1, ptr %stop_at seq_cst, align 8
  %pair = cmpxchg ptr %owner, i64 0, i64 1 acquire monotonic
  %got = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %got, label %tell, label %taken
tell:
  call void @announce(ptr %pool, i64 0, i64 1024)
  store atomic i64 0, ptr %owner release, align 8
  ret i64 1
taken:
  ret i64 0
}}

; A group on several threads, the caller among them; on the caller alone if the pool is taken.
define private void @region(ptr %pool, ptr %group) nounwind {{
entry:
  %owner = getelementptr i8, ptr %pool, i64 {p.OWNER}
  %pair = cmpxchg ptr %owner, i64 0, i64 1 acquire monotonic
  %got = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %got, label %ours, label %taken
taken:
  call void @alone(ptr %group)
  ret void
ours:
  %threads = field i64 %group, {g.THREADS}
  %chunks = field i64 %group, {g.CHUNKS}
  %ranges = field ptr %group, {g.RANGES}
  br label %deal
deal:
  %t = phi i64 [ 0, %ours ], [ %t1, %deal ]
  %t1 = add i64 %t, 1
  %tb = mul i64 %t, 128
  %counter = getelementptr i8, ptr %ranges, i64 %tb
  %end_at = getelementptr i8, ptr %counter, i64 8
  %c0 = mul i64 %t, %chunks
  %from = udiv i64 %c0, %threads
  %c1 = mul i64 %t1, %chunks
  %to = udiv i64 %c1, %threads
  store atomic i64 %from, ptr %counter monotonic, align 8
  store i64 %to, ptr %end_at
  %more = icmp ult i64 %t1, %threads
  br i1 %more, label %deal, label %open
open:
  %region_at = getelementptr i8, ptr %pool, i64 {p.REGION}
  store ptr %group, ptr %region_at
  %threads_at = getelementptr i8, ptr %pool, i64 {p.THREADS}
  store atomic i64 %threads, ptr %threads_at monotonic, align 8
  call void @announce(ptr %pool, i64 1, i64 %threads)
  call void @work(ptr %group, i64 0)
  %closed = atomicrmw and ptr %pool, i64 {not_open} acq_rel
  br label %join
join:
  %turn = phi i64 [ 0, %open ], [ %turn1, %wait ], [ 0, %yield ]
  %state = load atomic i64, ptr %pool acquire, align 8
  %inside = and i64 %state, 2147483647
  %empty = icmp eq i64 %inside, 0
  br i1 %empty, label %done, label %wait
wait:
  {pause}
  %turn1 = add i64 %turn, 1
  %long = icmp ugt i64 %turn1, 4000
  br i1 %long, label %yield, label %join
yield:
  %yield_at = getelementptr i8, ptr %pool, i64 {p.YIELD}
  %yield_f = load ptr, ptr %yield_at
  %r = call i32 %yield_f()
  br label %join
done:
  store atomic i64 0, ptr %owner release, align 8
  ret void
}}

define void @insitu_run(ptr %program) nounwind {{
entry:
  %saved = alloca i64, align 8
  %control = alloca i64, align 8
{save}
{set}
  %patches = field i64 %program, {h.PATCHES}
  %patch = field ptr %program, {h.PATCH}
  %pointers = field ptr %program, {h.POINTERS}
  %groups = field i64 %program, {h.GROUPS}
  %group0 = field ptr %program, {h.GROUP}
  %pool = field ptr %program, {h.POOL}
  %turns = field i64 %program, {h.TURNS}
  %strides = field ptr %program, {h.STRIDE}
  br label %again
again:
  %t = phi i64 [ 0, %entry ], [ %t1, %ended ]
  br label %fill
fill:
  %i = phi i64 [ 0, %again ], [ %i1, %fill_one ]
  %i_more = icmp ult i64 %i, %patches
  br i1 %i_more, label %fill_one, label %turn
fill_one:
  %i2 = shl i64 %i, 1
  %target = field ptr %patch, %i2
  %i21 = or i64 %i2, 1
  %which = field i64 %patch, %i21
  %pointer = field i64 %pointers, %which
  %stride = field i64 %strides, %which
  %moved = mul i64 %t, %stride
  %place = add i64 %pointer, %moved
  store i64 %place, ptr %target
  %i1 = add i64 %i, 1
  br label %fill
turn:
  %j = phi i64 [ 0, %fill ], [ %j1, %after ]
  %j_more = icmp ult i64 %j, %groups
  br i1 %j_more, label %one, label %ended
one:
  %jb = mul i64 %j, {g.SIZE}
  %group = getelementptr i64, ptr %group0, i64 %jb
  %threads = field i64 %group, {g.THREADS}
  %single = icmp eq i64 %threads, 1
  br i1 %single, label %serial, label %parallel
serial:
  call void @alone(ptr %group)
  br label %after
parallel:
  call void @region(ptr %pool, ptr %group)
  br label %after
after:
  %j1 = add i64 %j, 1
  br label %turn
ended:
  %t1 = add i64 %t, 1
  %t_more = icmp ult i64 %t1, %turns
  br i1 %t_more, label %again, label %done
done:
{restore}
  ret void
}}

define ptr @insitu_worker(ptr %start) nounwind {{
entry:
  %control = alloca i64, align 8
{set}
  %pool = field ptr %start, 0
  %me = field i64 %start, 1
  %bed = field ptr %start, 2
  %sleepers = getelementptr i8, ptr %bed, i64 {b.SLEEPERS}
  %region_at = getelementptr i8, ptr %pool, i64 {p.REGION}
  %threads_at = getelementptr i8, ptr %pool, i64 {p.THREADS}
  %stop_at = getelementptr i8, ptr %pool, i64 {p.STOP}
  %alive = getelementptr i8, ptr %pool, i64 {p.ALIVE}
  %spins_at = getelementptr i8, ptr %pool, i64 {p.SPINS}
  %mutex = getelementptr i8, ptr %bed, i64 {b.MUTEX}
  %condition = getelementptr i8, ptr %bed, i64 {b.CONDITION}
  %lock_at = getelementptr i8, ptr %pool, i64 {p.LOCK}
  %lock = load ptr, ptr %lock_at
  %unlock_at = getelementptr i8, ptr %pool, i64 {p.UNLOCK}
  %unlock = load ptr, ptr %unlock_at
  %wait_at = getelementptr i8, ptr %pool, i64 {p.WAIT}
  %wait_f = load ptr, ptr %wait_at
  br label %try
idle:
  %seen = phi i64 [ %epoch, %look ], [ %epoch, %mine ], [ %epoch, %work ]
  %spins = load atomic i64, ptr %spins_at monotonic, align 8
  br label %spin
spin:
  %n = phi i64 [ 0, %idle ], [ %n1, %again ]
  %s0 = load atomic i64, ptr %pool acquire, align 8
  %e0 = lshr i64 %s0, 32
  %same0 = icmp eq i64 %e0, %seen
  br i1 %same0, label %again, label %news
again:
  {pause}
  %n1 = add i64 %n, 1
  %short = icmp ult i64 %n1, %spins
  br i1 %short, label %spin, label %park
park:
  %r0 = call i32 %lock(ptr %mutex)
  %a0 = atomicrmw add ptr %sleepers, i64 1 seq_cst
  br label %check
check:
  %s1 = load atomic i64, ptr %pool seq_cst, align 8
  %e1 = lshr i64 %s1, 32
  %same1 = icmp eq i64 %e1, %seen
  br i1 %same1, label %sleep, label %unpark
sleep:
  %r1 = call i32 %wait_f(ptr %condition, ptr %mutex)
  br label %check
unpark:
  %a1 = atomicrmw sub ptr %sleepers, i64 1 seq_cst
  %r2 = call i32 %unlock(ptr %mutex)
  br label %news
news:
  %stop = load atomic i64, ptr %stop_at acquire, align 8
  %leave = icmp ne i64 %stop, 0
  br i1 %leave, label %end, label %try
try:
  %state = load atomic i64, ptr %pool acquire, align 8
  %epoch = lshr i64 %state, 32
  br label %look
look:
  %bit = and i64 %state, 2147483648
  %open = icmp ne i64 %bit, 0
  br i1 %open, label %mine, label %idle
mine:
  %threads = load atomic i64, ptr %threads_at monotonic, align 8
  %invited = icmp ult i64 %me, %threads
  br i1 %invited, label %enter, label %idle
enter:
  %more = add i64 %state, 1
  %pair = cmpxchg ptr %pool, i64 %state, i64 %more acq_rel monotonic
  %in = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %in, label %work, label %try
work:
{set}
  %region = load ptr, ptr %region_at
  call void @work(ptr %region, i64 %me)
  %out = atomicrmw sub ptr %pool, i64 1 release
  br label %idle
end:
  %gone = atomicrmw sub ptr %alive, i64 1 release
  ret ptr null
}}

; So many turns of the waiting loop, to learn how long one takes.
define void @insitu_spin(i64 %turns) nounwind {{
entry:
  br label %loop
loop:
  %k = phi i64 [ 0, %entry ], [ %k1, %loop ]
  {pause}
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %turns
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""


def text(triple: str) -> str:
    """The module for that target triple.

    Raises
    ------
    InternalError
        For an architecture whose control register it does not know.
    """
    arch = triple.partition("-")[0]
    parts = _X86 if arch == "x86_64" else _ARM if arch in ("aarch64", "arm64") else None
    if parts is None:
        raise InternalError(f"there are no native loops for {triple}")
    not_open = ~(1 << 31)
    numbers = {"h": _plain(Header), "g": _plain(Group), "l": _plain(Launched), "p": _plain(PoolAt), "b": _plain(BedAt)}
    return _FIELD.sub(_load_field, _TEXT.format(triple=triple, not_open=not_open, **numbers, **parts))


#: ``%x = field i64 %base, 3`` in the text above stands for loading word 3 of what ``%base`` points to.
_FIELD = re.compile(r"  %(\w+) = field (i64|ptr) (%\w+), (\S+)")


def _load_field(found: re.Match[str]) -> str:
    name, kind, base, index = found.groups()
    return f"  %{name}.at = getelementptr i64, ptr {base}, i64 {index}\n  %{name} = load {kind}, ptr %{name}.at"


def _plain(numbers: type[enum.IntEnum]) -> types.SimpleNamespace:
    """The members as attributes that format as numbers."""
    return types.SimpleNamespace(**{name: int(member) for name, member in numbers.__members__.items()})
