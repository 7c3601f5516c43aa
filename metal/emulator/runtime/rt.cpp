// Runtime of the emulator: runs the threads of a threadgroup as fibers on one OS thread, implements barriers and SIMD-group
// operations as rendezvous, and, for checked libraries, watches every access to memory through the calls that clang inserts
// for -fsanitize=thread and -fsanitize=undefined.
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;
typedef float f2 __attribute__((ext_vector_type(2)));
typedef float f8 __attribute__((ext_vector_type(8)));
#define API extern "C" __attribute__((visibility("default")))
#define NOINL __attribute__((noinline))

enum { MAXT = 1024, SIMD = 32, STK = 64 * 1024, TGMAX = 32768, ARENA = 256 * 1024, REDZONE = 64, BINDS = 32 };

// ---- shared with faults.go and dispatch.go ---------------------------------------------------------------------------
enum Kind { K_BOUNDS = 1, K_RACE, K_GROUP_RACE, K_LAUNCH_RACE, K_UNWRITTEN, K_READ_ONLY, K_BARRIER, K_SIMD, K_MEMORY, K_UNDEFINED, K_STACK, K_TIME };
struct Fault {
  u32 kind, site, site2, size; // sites: as the shim passes them, for places that have no line of their own
  u64 pc, pc2, off;            // addresses of code count from the start of the library
  int32_t buf;                 // index of the bound buffer, -1 threadgroup memory, -2 unknown
  u32 tid, tid2, group, write, launch2; // write: bit 0 this access, bit 1 the other
  char text[88];
};
// What is known of two bytes of memory: the last write and the last read. Times count the threadgroup and SIMD-group
// barriers passed.
struct Rec { u32 who, pc, launch; u16 tg, sg; }; // who: 1 + number of the thread in the launch, 0 nobody
struct Cell { Rec w, r; u32 also, fl; };         // also: another launch that has read it
struct Mem { u64 at, size; Cell* shadow; u8* undefined; }; // a buffer; undefined: 1 for a byte that must not be read yet
struct Bind { u64 lo, hi; u32 mem, flags; };     // what a kernel may touch; flags: 1 bound, 2 may write
struct Const { u64 at; u32 bits, size; };
struct Dispatch {
  void (*entry)(const void*);
  u64 image, image_end; // of the library
  u32 groups[3], threads[3];
  u32 order, checked;   // order: 0 forward, 1 reverse, 2 random
  u64 seed;
  u32 launch, segment;  // numbers of this launch and of the first one since the last barrier
  u64 limit_ms;
  u32 nconst, nmem, nfault, fault_cap, aborted, flush;
  Const* consts;
  Fault* faults;
  Bind bind[BINDS];
  Mem mem[BINDS];
};
// ---- shared with the shim --------------------------------------------------------------------------------------------
struct Shared { u32 group_pos[3], group_size[3], groups[3], grid[3], simd_width, simd_count; u64 buf[BINDS]; };
struct Ctx { u32 pos_grid[3], pos_group[3], idx_group, idx_simd, simd_idx, pad; const Shared* sh; };

enum { F_WMASK = 3, F_RMASK = 12, F_WATOMIC = 16, F_RMULTI_SG = 32, F_RMULTI_DIFF = 64, F_ROTHER = 128 };
struct SG { // one SIMD-group
  u32 run, n, simdwait, barwait, done; // bit masks in permuted index space
  u8 perm[SIMD], inv[SIMD];
  u16 sg_epoch_dev, sg_epoch_tg;
  u32 full, mismatch; int wop; u32 wsite; void* wpc; // what the first waiting lane waits for
  u64 val[SIMD]; u32 arg[SIMD]; u64 res[SIMD];
  int lop[SIMD]; u32 lsite[SIMD]; void* lpc[SIMD];
  alignas(64) float A[64], B[64], C[64], D[64];
};
struct Worker {
  void* main_sp; char* stacks;
  u32 cur_sg, cur_j; // current SIMD-group, permuted index of the current lane
  void* sp[MAXT]; // null: not started
  u16 free_stk[MAXT]; u32 nfree, new_stk;
  SG sg[MAXT / SIMD];
  Shared sh;
  Ctx ctx[MAXT];
  Dispatch* d;
  u32 nthreads, nsg, group_lin;
  int abort, stop; // stop: the time is over
  u16 tg_epoch_dev, tg_epoch_tg;
  u64 first_tid; // number of thread 0 of this group in the launch
  char* arena; u64 arena_used, tg_bytes, arena_dirty; // dirty: what a checked group has left behind
  u8* tgstate; Cell* tgshadow;
  struct { int id; u64 off; } tga[64]; u32 ntga;
  u32 last_read, last_write; // the binds last used
  u64 rng;
  Worker* next; // in the list of those that nobody uses
};
enum { STACKS = MAXT * STK, SIGSTACK = 64 * 1024 };
static __thread Worker* tlw __attribute__((tls_model("initial-exec")));
static pthread_mutex_t fault_mu = PTHREAD_MUTEX_INITIALIZER;

// msl_switch saves the running fiber and goes to another; msl_resume is its second half.
extern "C" __attribute__((visibility("hidden"))) void msl_switch(void** save, void* to);
extern "C" __attribute__((visibility("hidden"))) void msl_resume();
asm(R"(
.text
.p2align 4
.globl msl_switch
.hidden msl_switch
.globl msl_resume
.hidden msl_resume
msl_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
msl_resume:
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");

static u64 rnd(Worker* w) { u64 x = w->rng; x ^= x << 13; x ^= x >> 7; x ^= x << 17; return w->rng = x; }
static inline u32 cur_tid(Worker* w) { SG& s = w->sg[w->cur_sg]; return w->cur_sg * SIMD + s.perm[w->cur_j]; }

static void report(Worker* w, Fault e) {
  Dispatch* d = w->d;
  e.group = w->group_lin;
  if (e.pc) e.pc -= d->image;
  if (e.pc2 && e.kind != K_LAUNCH_RACE) e.pc2 -= d->image; // that one may be of another library
  pthread_mutex_lock(&fault_mu);
  bool dup = false;
  for (u32 i = 0; i < d->nfault; i++) { Fault& o = d->faults[i]; dup |= o.kind == e.kind && o.pc == e.pc && o.pc2 == e.pc2 && o.launch2 == e.launch2; }
  if (!dup && d->nfault < d->fault_cap) d->faults[d->nfault++] = e;
  pthread_mutex_unlock(&fault_mu);
}
[[noreturn]] static void die(Worker* w) { // give the dispatch up, from inside a fiber
  w->abort = 1;
  void* junk; msl_switch(&junk, w->main_sp); __builtin_unreachable();
}
static NOINL void out_of_time(Worker* w, u64 pc, u32 site) {
  Fault e = {}; e.kind = K_TIME; e.pc = pc; e.site = site; e.tid = cur_tid(w); strcpy(e.text, "still running when its time was over"); report(w, e);
}
static inline void check_time(Worker* w, void* pc, u32 site) {
  if (__builtin_expect(w->stop, 0)) { out_of_time(w, (u64)pc, site); die(w); }
}

// ---- fibers ----------------------------------------------------------------------------------------------------------
static void fiber_main();
static inline void* lane_sp(Worker* w, u32 tid) { // where to go to run that thread
  if (w->sp[tid]) return w->sp[tid];
  u32 k = w->new_stk = w->free_stk[--w->nfree];
  // stacks are staggered, or all of them would compete for the same cache sets
  u64* sp = (u64*)(((u64)w->stacks + (u64)(k + 1) * STK - 64 - (k % 61) * 192) & ~63ull);
  *--sp = 0; *--sp = (u64)fiber_main;
  return sp - 6;
}
static inline void yield_from(Worker* w) {
  u32 tid = cur_tid(w);
  SG& s = w->sg[w->cur_sg];
  if (s.run) {
    u32 j = __builtin_ctz(s.run);
    w->cur_j = j;
    void* to = lane_sp(w, w->cur_sg * SIMD + s.perm[j]);
    msl_switch(&w->sp[tid], to);
  } else msl_switch(&w->sp[tid], w->main_sp);
}
// A thread that returns leaves its stack to the next one that has not begun: kernels without
// barriers need a single stack and no switches.
static void fiber_main() {
  Worker* w = tlw;
  u32 stk = w->new_stk;
  for (;;) {
    w->d->entry(&w->ctx[cur_tid(w)]);
    SG& s = w->sg[w->cur_sg];
    u32 b = 1u << w->cur_j;
    s.run &= ~b; s.done |= b;
    void* to = w->main_sp;
    if (s.run) {
      u32 j = w->cur_j = __builtin_ctz(s.run);
      to = w->sp[w->cur_sg * SIMD + s.perm[j]];
      if (!to) continue;
    }
    w->free_stk[w->nfree++] = stk;
      void* junk; msl_switch(&junk, to);
    __builtin_unreachable();
  }
}

// ---- SIMD-group operations --------------------------------------------------------------------
enum { S_SUM, S_PROD, S_MIN, S_MAX, S_AND, S_OR, S_XOR, S_ISUM, S_ESUM, S_BCAST, S_SHUF, S_UP, S_DOWN, S_SXOR,
       S_ROTUP, S_ROTDOWN, S_BALLOT, S_FIRST, S_ISFIRST, S_MMA = 100, S_BAR = 101 };
static float bf2f(u64 b) { u32 x = (u32)b << 16; float f; memcpy(&f, &x, 4); return f; }
static u64 f2bf(float f) { u32 x; memcpy(&x, &f, 4); if (f != f) return 0x7fc0; return (x + 0x7fff + ((x >> 16) & 1)) >> 16; }
template <class T> static T get(u64 b) { T v; memcpy(&v, &b, sizeof v); return v; }
template <class T> static u64 put(T v) { u64 b = 0; memcpy(&b, &v, sizeof v); return b; }
template <class T> static T op2(int op, T a, T b) {
  switch (op) {
    case S_SUM: case S_ISUM: case S_ESUM: return a + b;
    case S_PROD: return a * b;
    case S_MIN: return b < a ? b : a;
    default: return a < b ? b : a;
  }
}
static u64 comb(int op, int ty, u64 a, u64 b) {
  if (op == S_AND) return a & b;
  if (op == S_OR) return a | b;
  if (op == S_XOR) return a ^ b;
  switch (ty) {
    case 0: return put(op2(op, get<float>(a), get<float>(b)));
    case 1: return put((_Float16)op2(op, (float)get<_Float16>(a), (float)get<_Float16>(b)));
    case 2: return f2bf(op2(op, bf2f(a), bf2f(b)));
    case 3: return put(op2(op, get<int32_t>(a), get<int32_t>(b)));
    case 4: return put(op2(op, get<u32>(a), get<u32>(b)));
    case 5: return put(op2(op, get<int16_t>(a), get<int16_t>(b)));
    case 6: return put(op2(op, get<u16>(a), get<u16>(b)));
    case 7: return put(op2(op, get<int8_t>(a), get<int8_t>(b)));
    case 8: return put(op2(op, get<u8>(a), get<u8>(b)));
    case 9: return put(op2(op, get<int64_t>(a), get<int64_t>(b)));
    default: return put(op2(op, a, b));
  }
}
static void simd_error(Worker* w, SG& s, u32 lane, const char* msg, u32 other = 0) {
  Fault e = {}; e.kind = K_SIMD; e.pc = (u64)s.lpc[lane]; e.site = s.lsite[lane]; e.pc2 = (u64)s.lpc[other]; e.site2 = s.lsite[other];
  u32 sgi = &s - w->sg; e.tid = sgi * SIMD + lane; e.tid2 = sgi * SIMD + other;
  strncpy(e.text, msg, sizeof e.text - 1); report(w, e);
}
// act: lanes that take part, as a mask over lane numbers
static void simd_complete(Worker* w, SG& s, u32 act) {
  u32 first = __builtin_ctz(act);
  int op = s.lop[first] & 255, ty = s.lop[first] >> 8;
  if (op == S_MMA) {
    f8 b[8];
    for (int k = 0; k < 8; k++) memcpy(&b[k], s.B + 8 * k, 32);
    for (int r = 0; r < 8; r++) {
      f8 acc; memcpy(&acc, s.C + 8 * r, 32);
      for (int k = 0; k < 8; k++) acc = __builtin_elementwise_fma((f8)s.A[8 * r + k], b[k], acc);
      memcpy(s.D + 8 * r, &acc, 32);
    }
    return;
  }
  if (op == S_BAR) { if (ty & 1) s.sg_epoch_dev++; if (ty & 2) s.sg_epoch_tg++; return; }
  auto src = [&](u32 l, int from) { // shuffles: reading a lane that takes no part is undefined
    if (from < 0 || from >= SIMD || !(act >> from & 1)) {
      simd_error(w, s, l, "shuffle/broadcast reads a lane that is inactive or does not exist", l);
      return (u64)0xdeadbeefdeadbeefull;
    }
    return s.val[from];
  };
  u64 acc = 0; bool have = false;
  switch (op) {
    case S_ISUM: case S_ESUM:
      for (u32 l = 0; l < SIMD; l++) if (act >> l & 1) {
        u64 before = acc;
        acc = have ? comb(S_SUM, ty, acc, s.val[l]) : s.val[l];
        s.res[l] = op == S_ISUM ? acc : have ? before : 0;
        have = true;
      }
      return;
    case S_BALLOT:
      for (u32 l = 0; l < SIMD; l++) if (act >> l & 1 && s.val[l]) acc |= 1ull << l;
      for (u32 l = 0; l < SIMD; l++) s.res[l] = acc;
      return;
    case S_FIRST: for (u32 l = 0; l < SIMD; l++) s.res[l] = s.val[first]; return;
    case S_ISFIRST: for (u32 l = 0; l < SIMD; l++) s.res[l] = l == first; return;
    case S_BCAST: case S_SHUF: for (u32 l = 0; l < SIMD; l++) if (act >> l & 1) s.res[l] = src(l, s.arg[l]); return;
    // up/down: lanes without a source keep their own value (Metal: they are unmodified)
    case S_UP: for (u32 l = 0; l < SIMD; l++) if (act >> l & 1) s.res[l] = l >= s.arg[l] ? src(l, l - s.arg[l]) : s.val[l]; return;
    case S_DOWN: for (u32 l = 0; l < SIMD; l++) if (act >> l & 1) s.res[l] = l + s.arg[l] < SIMD ? src(l, l + s.arg[l]) : s.val[l]; return;
    case S_SXOR: for (u32 l = 0; l < SIMD; l++) if (act >> l & 1) s.res[l] = src(l, l ^ s.arg[l]); return;
    case S_ROTUP: for (u32 l = 0; l < SIMD; l++) if (act >> l & 1) s.res[l] = src(l, (l - s.arg[l]) & 31); return;
    case S_ROTDOWN: for (u32 l = 0; l < SIMD; l++) if (act >> l & 1) s.res[l] = src(l, (l + s.arg[l]) & 31); return;
  }
  if (ty == 0 && act == ~0u && op == S_SUM) { // butterfly, as hardware would do it
    float v[SIMD];
    for (int l = 0; l < SIMD; l++) v[l] = get<float>(s.val[l]);
    for (int k = 16; k; k >>= 1) for (int l = 0; l < k; l++) v[l] += v[l + k];
    acc = put(v[0]);
  } else
    for (u32 l = 0; l < SIMD; l++) if (act >> l & 1) { acc = have ? comb(op, ty, acc, s.val[l]) : s.val[l]; have = true; }
  for (u32 l = 0; l < SIMD; l++) s.res[l] = acc;
}
static inline u32 jmask_to_lanes(SG& s, u32 m) { u32 r = 0; for (; m; m &= m - 1) r |= 1u << s.perm[__builtin_ctz(m)]; return r; }

static inline void rendezvous(Worker* w, int op, u32 site, void* pc) {
  check_time(w, pc, site);
  SG& s = w->sg[w->cur_sg];
  u32 j = w->cur_j, lane = s.perm[j], b = 1u << j;
  s.lop[lane] = op; s.lsite[lane] = site; s.lpc[lane] = pc;
  if (!s.simdwait) { s.wop = op; s.wsite = site; s.wpc = pc; s.mismatch = 0; }
  else s.mismatch |= (op ^ s.wop) | (site ^ s.wsite) | (pc != s.wpc);
  s.simdwait |= b;
  if (s.simdwait == s.full && !s.mismatch) { // the usual case: everybody is here
    simd_complete(w, s, s.full);
    s.run = s.full; s.simdwait = 0;
    return;
  }
  s.run &= ~b;
  yield_from(w);
}
API u64 msl_simd(int op, u64 v, u32 arg, u32 site) {
  Worker* w = tlw;
  SG& s = w->sg[w->cur_sg];
  u32 lane = s.perm[w->cur_j];
  s.val[lane] = v; s.arg[lane] = arg;
  rendezvous(w, op, site, __builtin_return_address(0));
  return s.res[lane];
}
API u32 msl_lane() { // const for the compiler: it does not change while a thread runs
  Worker* w = tlw; return w->sg[w->cur_sg].perm[w->cur_j]; }
// place: of the thread's two elements in a matrix
API f2 msl_mma(f2 a, f2 b, f2 c, u32 place, u32 site) {
  Worker* w = tlw;
  SG& s = w->sg[w->cur_sg];
  memcpy(s.A + place, &a, 8); memcpy(s.B + place, &b, 8); memcpy(s.C + place, &c, 8);
  rendezvous(w, S_MMA, site, __builtin_return_address(0));
  f2 d; memcpy(&d, s.D + place, 8);
  return d;
}
API void msl_mma_check(bool transposed_origin, u32 site) { // simdgroup_load/store: the whole SIMD-group has to come here together
  Worker* w = tlw; SG& s = w->sg[w->cur_sg];
  if (s.n != SIMD || transposed_origin) {
    u32 l = s.perm[w->cur_j]; s.lpc[l] = __builtin_return_address(0); s.lsite[l] = site;
    simd_error(w, s, l, transposed_origin ? "transposed load or store of a matrix with an origin, which Apple does not define" : "load or store of a matrix in a SIMD-group of fewer than 32 threads", l); die(w);
  }
  rendezvous(w, S_BAR, site, __builtin_return_address(0));
}
API void msl_barrier(int scope, int flags, u32 site);
API u32 msl_thread() { return cur_tid(tlw); } // const for the compiler, as msl_lane
API void msl_tensor_check(bool unit_stride, u32 site) {
  Worker* w = tlw; SG& s = w->sg[w->cur_sg];
  if (unit_stride) return;
  simd_error(w, s, s.perm[w->cur_j], "tensor whose fastest dimension has gaps", s.perm[w->cur_j]); die(w);
}
API void msl_tensor_scope(u32 simdgroups, u32 site) { // all threads of the operation's scope meet here
  Worker* w = tlw; SG& s = w->sg[w->cur_sg];
  if (w->nthreads != simdgroups * SIMD) {
    u32 l = s.perm[w->cur_j]; s.lpc[l] = __builtin_return_address(0); s.lsite[l] = site;
    simd_error(w, s, l, "tensor operation of another number of SIMD-groups than the threadgroup has", l); die(w);
  }
  msl_barrier(0, 0, site);
}
API void msl_barrier(int scope, int flags, u32 site) {
  Worker* w = tlw;
  SG& s = w->sg[w->cur_sg];
  if (scope == 1) {
    rendezvous(w, S_BAR | flags << 8, site, __builtin_return_address(0));
    return;
  }
  check_time(w, __builtin_return_address(0), site);
  u32 lane = s.perm[w->cur_j], b = 1u << w->cur_j;
  s.lsite[lane] = site; s.lpc[lane] = __builtin_return_address(0); s.lop[lane] = flags;
  s.run &= ~b; s.barwait |= b;
  yield_from(w);
}

// ---- threadgroup memory ----------------------------------------------------------------------------------------------
static u64 arena_take(Worker* w, u64 size, u64 align) {
  if (align < 16) align = 16;
  u64 off = (w->arena_used + align - 1) & ~(align - 1);
  u64 rz = w->d->checked ? REDZONE : 0;
  w->tg_bytes += (size + 15) & ~15ull;
  if (off + size + rz > ARENA || w->tg_bytes > TGMAX) return ~0ull;
  w->arena_used = off + size + rz;
  memset(w->arena + off, 0xff, size); // poison: NaN in every float format
  if (w->d->checked) { memset(w->tgstate + off, 1, size); w->arena_dirty = w->arena_used; }
  return off;
}
static void tg_too_big(Worker* w, void* pc) {
  Fault e = {}; e.kind = K_MEMORY; e.pc = (u64)pc; e.size = w->tg_bytes; report(w, e);
}
API u64 msl_tg_alloc(int id, u64 size, u64 align) {
  Worker* w = tlw;
  for (u32 i = 0; i < w->ntga; i++) if (w->tga[i].id == id) return (u64)w->arena + w->tga[i].off;
  u64 off = w->ntga < 64 ? arena_take(w, size, align) : ~0ull;
  if (off == ~0ull) { tg_too_big(w, __builtin_return_address(0)); die(w); }
  w->tga[w->ntga++] = {id, off};
  return (u64)w->arena + off;
}

// ---- memory checks of checked libraries ------------------------------------------------------------------------------
struct Access { u64 addr, off, pc; u32 n; int buf; bool write, atomic, threadgroup; }; // off in memory with this shadow
static inline bool ordered(Worker* w, const Rec& p, u16 tg, u16 sg, u32 who) { // did p happen before this access, by the rules?
  if (p.who == who) return true;
  u64 pt = p.who - 1 - w->first_tid;
  if (pt >= w->nthreads) return false; // another threadgroup: never ordered inside a launch
  if (p.tg < tg) return true;
  return pt / SIMD == w->cur_sg && p.sg < sg;
}
// Places are told as an offset from where the kernel's parameter points.
static void place(Worker* w, const Access& a, Fault& e) {
  e.pc = a.pc; e.size = a.n; e.tid = cur_tid(w); e.write = a.write; e.buf = a.buf; e.off = a.off;
  if (a.buf >= 0) e.off = a.addr - w->d->bind[a.buf].lo;
}
static NOINL void race(Worker* w, const Access& a, const Rec& p, bool other_group, bool wrote) {
  Fault e = {}; place(w, a, e);
  u64 pt = p.who - 1 - w->first_tid;
  other_group |= pt >= w->nthreads;
  e.kind = other_group ? K_GROUP_RACE : K_RACE;
  e.pc2 = p.pc ? w->d->image + p.pc : 0;
  u32* t = w->d->threads;
  e.tid2 = other_group ? (p.who - 1) % (t[0] * t[1] * t[2]) : pt;
  e.write |= wrote << 1;
  report(w, e);
}
static NOINL void launch_race(Worker* w, const Access& a, u32 launch, u32 pc, bool wrote) {
  Fault e = {}; place(w, a, e); e.kind = K_LAUNCH_RACE; e.pc2 = pc; e.launch2 = launch; e.write |= wrote << 1;
  report(w, e);
}
static inline void shadow_access(Worker* w, Cell* cells, const Access& a) {
  SG& s = w->sg[w->cur_sg];
  u16 tg = a.threadgroup ? w->tg_epoch_tg : w->tg_epoch_dev, sg = a.threadgroup ? s.sg_epoch_tg : s.sg_epoch_dev;
  u32 who = 1 + w->first_tid + cur_tid(w), rpc = a.pc - w->d->image, L = w->d->launch, segment = w->d->segment;
  for (u64 o = a.off & ~1ull; o < a.off + a.n; o += 2) {
    Cell& c = cells[o >> 1];
    u32 m = (o >= a.off ? 1 : 0) | (o + 1 >= a.off && o + 1 < a.off + a.n ? 2 : 0);
    bool wmine = c.w.launch == L, rmine = c.r.launch == L; // else an earlier launch
    if (c.w.who && (c.fl & m) && !(a.atomic && (c.fl & F_WATOMIC))) {
      if (wmine) { if (!ordered(w, c.w, tg, sg, who)) race(w, a, c.w, false, true); }
      else if (c.w.launch >= segment) launch_race(w, a, c.w.launch, c.w.pc, true);
    }
    if (a.write) {
      if (c.r.who && (c.fl >> 2 & m)) {
        if (rmine) {
          bool ok = ordered(w, c.r, tg, sg, who);
          if (ok && c.r.tg >= tg && (c.fl & (F_RMULTI_DIFF | F_RMULTI_SG))) // several readers since the last barrier
            ok = !(c.fl & F_RMULTI_DIFF) && c.r.sg < sg;
          if (!ok || (c.fl & F_ROTHER)) race(w, a, c.r, ok, false);
        } else if (c.r.launch >= segment) launch_race(w, a, c.r.launch, c.r.pc, false);
      }
      if (c.also && c.also >= segment && c.also != L) launch_race(w, a, c.also, 0, false);
      u32 keep = wmine && c.w.who == who && c.w.tg == tg && !a.atomic == !(c.fl & F_WATOMIC) ? c.fl & F_WMASK : 0;
      c.w = {who, rpc, L, tg, sg};
      c.fl = (c.fl & ~(F_WMASK | F_WATOMIC)) | m | keep | (a.atomic ? F_WATOMIC : 0);
    } else {
      u32 keep = 0;
      if (!rmine) {
        if (c.r.who && c.r.launch >= segment) c.also = c.r.launch;
        c.fl &= ~(F_RMASK | F_ROTHER);
      } else {
        u64 pt = c.r.who - 1 - w->first_tid;
        if (c.fl & F_ROTHER) keep = c.fl & F_RMASK;
        if (pt >= w->nthreads) keep |= (c.fl & F_RMASK) | F_ROTHER; // another threadgroup read it
        else if (c.r.tg == tg) {
          keep |= c.fl & (F_RMASK | F_RMULTI_SG | F_RMULTI_DIFF);
          if (c.r.who != who) keep |= pt / SIMD == w->cur_sg ? F_RMULTI_SG : F_RMULTI_DIFF;
        }
      }
      c.r = {who, rpc, L, tg, sg};
      c.fl = (c.fl & ~(F_RMASK | F_RMULTI_SG | F_RMULTI_DIFF)) | keep | m << 2;
    }
  }
}
static NOINL void bad(Worker* w, u32 kind, u64 a, u32 n, bool wr, u64 pc, const char* text) {
  Fault e = {}; e.kind = kind; e.pc = pc; e.size = n; e.write = wr; e.tid = cur_tid(w); e.buf = -2; e.off = a;
  u64 best = 1 << 20;
  for (int i = 0; i < BINDS; i++) if (const Bind& b = w->d->bind[i]; b.flags) { // which buffer was probably meant
    u64 dist = a < b.lo ? b.lo - a : a >= b.hi ? a - b.hi + 1 : 0;
    if (dist < best) { best = dist; e.buf = i; e.off = a - b.lo; }
  }
  if (a - (u64)w->arena < ARENA) { e.buf = -1; e.off = a - (u64)w->arena; }
  strncpy(e.text, text, sizeof e.text - 1);
  report(w, e);
}
static inline bool within(const Bind& b, u64 a, u32 n) { return a >= b.lo && a + n <= b.hi; }
static NOINL int find_bind(Worker* w, u64 a, u32 n, bool wr, u64 pc) {
  bool read_only = false, partly = false;
  for (int i = 0; i < BINDS; i++) {
    const Bind& b = w->d->bind[i];
    if (!b.flags || a >= b.hi || a + n <= b.lo) continue;
    if (!within(b, a, n)) { partly = true; continue; }
    if (!wr || b.flags & 2) return i;
    read_only = true;
  }
  bad(w, read_only ? K_READ_ONLY : K_BOUNDS, a, n, wr, pc, read_only ? "" : partly ? "runs over the end" : "outside of all that is bound");
  die(w);
}
static inline void access(u64 a, u32 n, bool wr, bool atomic, u64 pc) {
  Worker* w = tlw;
  if (a - (u64)w->stacks < STACKS) return; // thread-private
  Access x = {a, a - (u64)w->arena, pc, n, -1, wr, atomic, true};
  if (x.off < ARENA) {
    bool oob = false, unwritten = false;
    for (u32 i = 0; i < n; i++) { u8 st = w->tgstate[x.off + i]; oob |= st == 0; unwritten |= st == 1; }
    if (oob) { bad(w, K_BOUNDS, a, n, wr, pc, "outside of every threadgroup array"); die(w); }
    if (unwritten && !wr) bad(w, K_UNWRITTEN, a, n, wr, pc, "");
    if (wr) memset(w->tgstate + x.off, 2, n);
    shadow_access(w, w->tgshadow, x);
    return;
  }
  Dispatch* d = w->d;
  u32& last = wr ? w->last_write : w->last_read;
  const Bind* b = &d->bind[last];
  if (!(b->flags & (wr ? 2 : 1)) || !within(*b, a, n)) {
    if (!wr && a - d->image < d->image_end - d->image) return; // program-scope constants
    if (a - (u64)w < sizeof *w) return; // arguments
    last = find_bind(w, a, n, wr, pc);
    b = &d->bind[last];
  }
  Mem& mem = d->mem[b->mem];
  x.buf = last; x.off = a - mem.at; x.threadgroup = false;
  if (u8* u = mem.undefined) {
    if (wr) memset(u + x.off, 0, n);
    else for (u32 k = 0; k < n; k++) if (u[x.off + k]) { bad(w, K_UNWRITTEN, a, n, wr, pc, ""); break; }
  }
  shadow_access(w, mem.shadow, x);
  if (w->stop) check_time(w, (void*)pc, 0);
}
#define RA ((u64)__builtin_return_address(0))
#define HOOK(N) \
  API void __tsan_read##N(u64 a) { access(a, N, false, false, RA); } \
  API void __tsan_write##N(u64 a) { access(a, N, true, false, RA); } \
  API void __tsan_unaligned_read##N(u64 a) { access(a, N, false, false, RA); } \
  API void __tsan_unaligned_write##N(u64 a) { access(a, N, true, false, RA); } \
  API void __tsan_volatile_read##N(u64 a) { access(a, N, false, false, RA); } \
  API void __tsan_volatile_write##N(u64 a) { access(a, N, true, false, RA); } \
  API void __tsan_read_write##N(u64 a) { access(a, N, false, false, RA); access(a, N, true, false, RA); } \
  API void __tsan_unaligned_read_write##N(u64 a) { access(a, N, false, false, RA); access(a, N, true, false, RA); }
HOOK(1) HOOK(2) HOOK(4) HOOK(8) HOOK(16)
API void __tsan_init() {}
API void __tsan_func_entry(void*) {}
API void __tsan_func_exit() {}
API void* __tsan_memcpy(void* d, const void* s, u64 n) { access((u64)s, n, false, false, RA); access((u64)d, n, true, false, RA); return memcpy(d, s, n); }
API void* __tsan_memmove(void* d, const void* s, u64 n) { access((u64)s, n, false, false, RA); access((u64)d, n, true, false, RA); return memmove(d, s, n); }
API void* __tsan_memset(void* d, int c, u64 n) { access((u64)d, n, true, false, RA); return memset(d, c, n); }
API void msl_atomic_access(u64 a, u32 n) { access(a, n, true, true, RA); }

// UBSan call-outs: every data block starts with {file, line, column}
struct Loc { const char* file; u32 line, col; };
static u32 site_of(const Loc* l) { // as _msl_site in the shim
  u32 h = 0;
  for (const char* f = l->file; *f; f++) h = h * 31 + (u8)*f;
  return h << 20 | l->line;
}
static NOINL void ub(const Loc* l, const char* what, u64 pc, bool fatal) {
  Worker* w = tlw;
  Fault e = {}; e.kind = K_UNDEFINED; e.pc = pc; e.site = site_of(l); e.tid = cur_tid(w); strncpy(e.text, what, sizeof e.text - 1);
  report(w, e);
  if (fatal) die(w);
}
API void __ubsan_handle_out_of_bounds(Loc* l, u64) { ub(l, "array index out of bounds", RA, true); }
API void __ubsan_handle_divrem_overflow(Loc* l, u64, u64) { ub(l, "integer division by zero or overflow", RA, true); }
API void __ubsan_handle_type_mismatch_v1(Loc* l, u64 a) { ub(l, a ? "misaligned access" : "null pointer access", RA, true); }
API void __ubsan_handle_missing_return(Loc* l) { ub(l, "missing return", RA, true); }
API void __ubsan_handle_builtin_unreachable(Loc* l) { ub(l, "unreachable code", RA, true); }

// ---- compiler runtime bits missing from gcc 12 -----------------------------------------------------------------------
// Really float -> __bf16, which comes back in the low half of xmm0. Declared with float, because clang
// turns the same code with a __bf16 result into a call of __truncsfbf2, that is, of itself.
extern "C" __attribute__((visibility("default"))) float __truncsfbf2(float f) { u32 r = f2bf(f); float o; memcpy(&o, &r, 4); return o; }

// ---- functions as wrong as they may be -------------------------------------------------------------------------------
// The bounds are those of the Metal Shading Language Specification 4.1, section 8.4: table 8.1 for precise functions, 8.2
// for fast ones. The numbers of the functions are shared with the shim.
enum Fn { EXP, EXP2, EXP10, LOG, LOG2, LOG10, SIN, COS, TAN, ASIN, ACOS, ATAN, ASINH, ACOSH, ATANH, SINH, COSH, TANH, SQRT, RSQRT, POW, ATAN2, DIVIDE };
static double exact(int f, double x, double y) {
  switch (f) {
    case EXP: return exp(x); case EXP2: return exp2(x); case EXP10: return pow(10, x);
    case LOG: return log(x); case LOG2: return log2(x); case LOG10: return log10(x);
    case SIN: return sin(x); case COS: return cos(x); case TAN: return tan(x);
    case ASIN: return asin(x); case ACOS: return acos(x); case ATAN: return atan(x);
    case ASINH: return asinh(x); case ACOSH: return acosh(x); case ATANH: return atanh(x);
    case SINH: return sinh(x); case COSH: return cosh(x); case TANH: return tanh(x);
    case SQRT: return sqrt(x); case RSQRT: return 1 / sqrt(x);
    case POW: return pow(x, y); case ATAN2: return atan2(x, y);
    default: return x / y;
  }
}
static double ulp(double y) { // of a float
  int k = -149; if (y != 0) frexp(y, &k);
  return ldexp(1, k < -125 ? -149 : k - 24);
}
// off is the float that is furthest from v in the direction that the arguments decide, by no more than e, and not across
// zero, where no implementation of a function that keeps its sign gets to.
static float off(double v, double e, float x, float y) {
  if (!(fabs(v) <= 3.4028234663852886e38) || v == 0 || e == 0) return (float)v;
  u32 a, b; memcpy(&a, &x, 4); memcpy(&b, &y, 4);
  bool up = ((a ^ (u64)b << 32) * 0x9e3779b97f4a7c15ull) >> 63;
  double t = up ? v + e : v - e;
  if (t * v < 0) return 0;
  float f = (float)t, nearer = nextafterf(f, (float)v);
  return fabs(f - v) <= e ? f : fabs(nearer - v) <= e ? nearer : (float)v;
}
API float msl_precise(int f, float x, float y) {
  static const u8 ulps[] = {4, 4, 4, 4, 4, 4, 4, 4, 6, 4, 4, 5, 4, 4, 5, 4, 4, 5, 0, 0, 16, 6, 0};
  double v = exact(f, x, y);
  return off(v, ulps[f] * ulp(v), x, y);
}
API float msl_fast(int f, float x, float y) {
  auto is = [](int f, float x, float y = 0) { return msl_fast(f, x, y); };
  double v = exact(f, x, y), u = ulp(v);
  switch (f) {
    case EXP: case EXP2: return off(v, (3 + floor(fabs(2.0 * x))) * u, x, 0);
    case EXP10: return is(EXP2, x * 3.32192809f);
    case LOG: return off(v, x >= 0.5f && x <= 2 ? 0x1p-21 : 3 * u, x, 0);
    case LOG2: return off(v, x >= 0.5f && x <= 2 ? 0x1p-22 : 2 * u, x, 0);
    case LOG10: return is(LOG2, x) * 0.301029996f;
    case SIN: case COS: return off(v, 0x1p-13 * fmax(1, fabs(x) / M_PI), x, 0); // outside of [-pi, pi] it is "larger"
    case TAN: return is(SIN, x) * is(DIVIDE, 1, is(COS, x));
    case ASIN: case ACOS: case ATAN: return off(v, 5 * u, x, 0);
    case ASINH: return is(LOG, x + is(SQRT, x * x + 1));
    case ACOSH: return is(LOG, x + is(SQRT, x * x - 1));
    case ATANH: return 0.5f * is(LOG, is(DIVIDE, 1 + x, 1 - x));
    case SINH: return 0.5f * (is(EXP, x) - is(EXP, -x));
    case COSH: return 0.5f * (is(EXP, x) + is(EXP, -x));
    case TANH: { float t = is(EXP, 2 * x); return is(DIVIDE, t - 1, t + 1); } // NaN where t overflows
    case SQRT: return x == 0 || x == INFINITY ? x : x * is(RSQRT, x);
    case RSQRT: return off(v, 2 * u, x, 0);
    case POW: return is(EXP2, y * is(LOG2, x));
    case ATAN2: { float a = is(ATAN, is(DIVIDE, x, y)); return y > 0 ? a : x > 0 ? a + (float)M_PI : a - (float)M_PI; }
    default: // a divisor out of the range that has a bound has a reciprocal that is flushed
      if (fabsf(y) > 0x1p126f && fabsf(y) < INFINITY) return x * copysignf(0, y);
      return off(v, (x == 1 ? 1 : 2.5) * u, x, y);
  }
}

// ---- scheduler -------------------------------------------------------------------------------------------------------
static void* map(u64 bytes) {
  void* p = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) { perror("metal emulator"); abort(); }
  return p;
}
// What a worker needs is large and made of thousands of mappings, so all devices of a process share it.
static Worker* idle_workers;
static pthread_mutex_t idle_mu = PTHREAD_MUTEX_INITIALIZER;
static Worker* take_worker() {
  pthread_mutex_lock(&idle_mu);
  Worker* w = idle_workers;
  if (w) idle_workers = w->next;
  pthread_mutex_unlock(&idle_mu);
  if (w) return w;
  w = (Worker*)map(sizeof(Worker));
  w->stacks = (char*)map(STACKS);
  for (u32 i = 0; i < MAXT; i++) mprotect(w->stacks + (u64)i * STK, 4096, PROT_NONE); // an overflow hits a guard page
  w->arena = (char*)map(ARENA); w->tgstate = (u8*)map(ARENA); w->tgshadow = (Cell*)map(ARENA / 2 * sizeof(Cell));
  return w;
}
static void leave_worker(Worker* w) {
  pthread_mutex_lock(&idle_mu);
  w->next = idle_workers; idle_workers = w;
  pthread_mutex_unlock(&idle_mu);
}
static void permute(Worker* w, u8* p, u32 n, u32 order) {
  for (u32 i = 0; i < n; i++) p[i] = order == 1 ? n - 1 - i : i;
  if (order == 2) for (u32 i = n; i > 1; i--) { u32 j = rnd(w) % i; u8 t = p[i - 1]; p[i - 1] = p[j]; p[j] = t; }
}
// No lane of s can run: settle what is waiting. Returns true if lanes became runnable.
static bool settle(Worker* w, SG& s) {
  if (!s.simdwait) return false;
  u32 act = jmask_to_lanes(s, s.simdwait), f = __builtin_ctz(act);
  u32 same = 0;
  for (u32 m = act; m; m &= m - 1) { u32 l = __builtin_ctz(m); if (s.lpc[l] == s.lpc[f] && s.lop[l] == s.lop[f] && s.lsite[l] == s.lsite[f]) same |= 1u << l; }
  u32 barlanes = jmask_to_lanes(s, s.barwait), donelanes = jmask_to_lanes(s, s.done);
  if (same != act) { u32 o = __builtin_ctz(act & ~same); simd_error(w, s, f, "lanes of one SIMD-group wait at different SIMD operations", o); w->abort = 1; }
  else if (barlanes) { u32 o = __builtin_ctz(barlanes); simd_error(w, s, f, "SIMD operation in divergent code: other lanes wait at a threadgroup barrier", o); w->abort = 1; }
  else if (donelanes) {
    simd_error(w, s, f, "SIMD operation after some lanes of the SIMD-group returned", __builtin_ctz(donelanes)); w->abort = 1; }
  if (w->abort) return false;
  simd_complete(w, s, same);
  u32 jm = 0;
  for (u32 m = same; m; m &= m - 1) jm |= 1u << s.inv[__builtin_ctz(m)];
  s.run |= jm; s.simdwait &= ~jm;
  return true;
}
static void run_group(Worker* w, u32 gx, u32 gy, u32 gz) {
  Dispatch* d = w->d;
  u32 gp[3] = {gx, gy, gz}, *size = d->threads;
  u32 n = size[0] * size[1] * size[2];
  w->nthreads = n; w->nsg = (n + SIMD - 1) / SIMD;
  w->group_lin = (gz * d->groups[1] + gy) * d->groups[0] + gx;
  w->first_tid = (u64)w->group_lin * n;
  w->rng = (d->seed + w->group_lin) * 0x9e3779b97f4a7c15ull | 1;
  w->tg_epoch_dev = w->tg_epoch_tg = 1;
  if (d->checked) { // forget the previous group's threadgroup memory
    memset(w->tgstate, 0, w->arena_dirty); memset(w->tgshadow, 0, w->arena_dirty / 2 * sizeof(Cell));
    w->arena_dirty = 0;
  }
  w->arena_used = REDZONE; w->tg_bytes = 0; w->ntga = 0;
  u8 so[MAXT / SIMD]; permute(w, so, w->nsg, d->order);
  Shared& sh = w->sh;
  memcpy(sh.group_pos, gp, 12); memcpy(sh.group_size, size, 12); memcpy(sh.groups, d->groups, 12);
  for (int i = 0; i < 3; i++) sh.grid[i] = d->groups[i] * size[i];
  sh.simd_width = SIMD; sh.simd_count = w->nsg;
  for (int i = 0; i < BINDS; i++) sh.buf[i] = d->bind[i].lo;
  memset(w->sp, 0, n * sizeof w->sp[0]);
  u32 t = 0;
  for (u32 z = 0; z < size[2]; z++) for (u32 y = 0; y < size[1]; y++) for (u32 x = 0; x < size[0]; x++, t++)
    w->ctx[t] = {{gp[0] * size[0] + x, gp[1] * size[1] + y, gp[2] * size[2] + z}, {x, y, z}, t, t % SIMD, t / SIMD, 0, &sh};
  for (u32 i = 0; i < w->nsg; i++) {
    SG& s = w->sg[i];
    s.n = n - i * SIMD < SIMD ? n - i * SIMD : SIMD;
    permute(w, s.perm, s.n, d->order);
    for (u32 j = 0; j < s.n; j++) s.inv[s.perm[j]] = j;
    s.full = s.n == 32 ? ~0u : (1u << s.n) - 1;
    s.run = s.full; s.simdwait = s.barwait = s.done = 0; s.sg_epoch_dev = s.sg_epoch_tg = 1;
    if (d->checked) memset(s.lpc, 0, sizeof s.lpc);
  }
  for (;;) {
    bool any_bar = false, any_done = false;
    for (u32 k = 0; k < w->nsg; k++) {
      u32 i = so[k]; SG& s = w->sg[i];
      do {
        while (s.run) {
          u32 j = __builtin_ctz(s.run);
          w->cur_sg = i; w->cur_j = j;
          void* to = lane_sp(w, i * SIMD + s.perm[j]);
          msl_switch(&w->main_sp, to);
          if (w->abort) return;
        }
      } while (settle(w, s));
      if (w->abort) return;
      any_bar |= s.barwait != 0; any_done |= s.done != 0;
    }
    if (!any_bar) break;
    // every thread must be at the same barrier
    u32 ft = ~0u, bt = ~0u; bool diff = false;
    for (u32 q = 0; q < n; q++) {
      SG& s = w->sg[q / SIMD]; u32 l = q % SIMD;
      if (s.barwait >> s.inv[l] & 1) {
        if (ft == ~0u) ft = q;
        else { SG& a = w->sg[ft / SIMD]; if (a.lpc[ft % SIMD] != s.lpc[l] || a.lop[ft % SIMD] != s.lop[l] || a.lsite[ft % SIMD] != s.lsite[l]) { diff = true; if (bt == ~0u) bt = q; } }
      } else if (bt == ~0u) bt = q;
    }
    if (any_done || diff) {
      SG& a = w->sg[ft / SIMD]; Fault e = {}; e.kind = K_BARRIER; e.pc = (u64)a.lpc[ft % SIMD]; e.site = a.lsite[ft % SIMD]; e.tid = ft; e.tid2 = bt;
      SG& b = w->sg[bt / SIMD];
      bool exited = b.done >> b.inv[bt % SIMD] & 1;
      if (!exited) { e.pc2 = (u64)b.lpc[bt % SIMD]; e.site2 = b.lsite[bt % SIMD]; }
      strcpy(e.text, exited ? "some threads returned without reaching the barrier" : "threads wait at different barriers");
      report(w, e); w->abort = 1; return;
    }
    SG& a = w->sg[ft / SIMD]; int fl = a.lop[ft % SIMD];
    if (fl & 1) w->tg_epoch_dev++;
    if (fl & 2) w->tg_epoch_tg++;
    for (u32 i = 0; i < w->nsg; i++) {
      SG& s = w->sg[i]; s.run = s.barwait; s.barwait = 0;
      if (d->order == 2) { // new lane order; nobody is running, so masks can simply be rebuilt
        permute(w, s.perm, s.n, 2); for (u32 j = 0; j < s.n; j++) s.inv[s.perm[j]] = j;
        s.run = s.n == 32 ? ~0u : (1u << s.n) - 1;
      }
    }
    if (d->order == 2) permute(w, so, w->nsg, 2);
  }
}

// ---- hardware faults -------------------------------------------------------------------------------------------------
// A fast library overruns into an inaccessible page, divides by zero or loops for ever: the thread's work is given up
// and reported. Signals of other threads, that is Go's own, go where they went before.
static const int caught[] = {SIGSEGV, SIGBUS, SIGFPE};
static struct sigaction old_action[NSIG];
static __thread bool worker_thread __attribute__((tls_model("initial-exec")));
static void on_signal(int sig, siginfo_t* info, void* context) {
  Worker* w = tlw;
  greg_t* reg = ((ucontext_t*)context)->uc_mcontext.gregs;
  u64 pc = reg[REG_RIP], sp = reg[REG_RSP];
  bool sent = info->si_code <= 0;
  if (sent && worker_thread && !w) return; // its work has just ended
  if (!w || (!sent && sp - (u64)w->stacks >= STACKS)) { // not in a fiber
    if (old_action[sig].sa_flags & SA_SIGINFO) old_action[sig].sa_sigaction(sig, info, context);
    else { signal(sig, SIG_DFL); raise(sig); }
    return;
  }
  if (sent) { // by msl_dispatch, when the time is over; it tries again if the runtime is at work
    if (pc - w->d->image >= w->d->image_end - w->d->image) return;
    out_of_time(w, pc + 1, 0);
  } else if (sig == SIGFPE) {
    Fault e = {}; e.kind = K_UNDEFINED; e.pc = pc + 1; e.tid = cur_tid(w); strcpy(e.text, "integer division by zero or overflow"); report(w, e);
  } else if ((u64)info->si_addr - (u64)w->stacks < STACKS) {
    Fault e = {}; e.kind = K_STACK; e.pc = pc + 1; e.tid = cur_tid(w); strcpy(e.text, "arrays of a thread too large, or calls without end"); report(w, e);
  } else bad(w, K_BOUNDS, (u64)info->si_addr, 0, reg[REG_ERR] & 2, pc + 1, "no memory there");
  w->abort = 1;
  reg[REG_RSI] = (u64)w->main_sp; reg[REG_RIP] = (u64)msl_resume;
}
__attribute__((constructor)) static void catch_signals() {
  struct sigaction a = {};
  a.sa_sigaction = on_signal; a.sa_flags = SA_SIGINFO | SA_ONSTACK; sigfillset(&a.sa_mask);
  for (int sig : caught) sigaction(sig, &a, &old_action[sig]);
}

// ---- launches --------------------------------------------------------------------------------------------------------
enum { MAXW = 64 };
enum { FLUSH = 1 << 15 | 1 << 6 }; // of the register MXCSR: denormal results are zero, and so are denormal operands
struct Pool;
struct Thread { Pool* pool; pthread_t id; u32 index; Worker* w; }; // w: while it works
struct Pool {
  pthread_mutex_t mu; pthread_cond_t go, fin;
  Dispatch* d; u64 next, total, mult; u32 gen, active, want, nthreads, limit; int stop, quit;
  Thread t[MAXW];
};
static u64 group_at(Pool* p, u64 i) {
  if (p->d->order == 1) return p->total - 1 - i;
  if (p->d->order == 2) return (i * p->mult + p->d->seed % p->total) % p->total; // mult is coprime to total
  return i;
}
static void work(Pool* p, Worker* w, Dispatch* d) {
  w->d = d; w->abort = 0; w->nfree = MAXT; for (u32 i = 0; i < MAXT; i++) w->free_stk[i] = MAXT - 1 - i;
  w->last_read = w->last_write = 0;
  u32 control = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(d->flush ? control | FLUSH : control & ~FLUSH);
  tlw = w;
  for (;;) {
    u64 i = __atomic_fetch_add(&p->next, 1, __ATOMIC_RELAXED);
    if (i >= p->total || __atomic_load_n(&p->stop, __ATOMIC_RELAXED)) break;
    u64 g = group_at(p, i);
    run_group(w, g % d->groups[0], g / d->groups[0] % d->groups[1], g / d->groups[0] / d->groups[1]);
    if (w->abort) { __atomic_store_n(&p->stop, 1, __ATOMIC_RELAXED); break; }
  }
  tlw = 0;
  __builtin_ia32_ldmxcsr(control);
}
static void* worker_main(void* arg) {
  Thread* t = (Thread*)arg; Pool* p = t->pool;
  stack_t ss = {}; ss.ss_sp = map(SIGSTACK); ss.ss_size = SIGSTACK;
  sigaltstack(&ss, 0);
  worker_thread = true;
  u32 seen = 0;
  pthread_mutex_lock(&p->mu);
  for (;;) {
    while (!p->quit && (p->gen == seen || t->index >= p->want)) { seen = p->gen; pthread_cond_wait(&p->go, &p->mu); }
    if (p->quit) break;
    seen = p->gen;
    Dispatch* d = p->d;
    Worker* w = t->w = take_worker();
    w->stop = 0;
    pthread_mutex_unlock(&p->mu);
    work(p, w, d);
    pthread_mutex_lock(&p->mu);
    t->w = 0;
    leave_worker(w);
    if (--p->active == 0) pthread_cond_signal(&p->fin);
  }
  pthread_mutex_unlock(&p->mu);
  munmap(ss.ss_sp, SIGSTACK); // no signal comes after this
  return 0;
}
API Pool* msl_open(u32 workers) {
  Pool* p = (Pool*)calloc(1, sizeof(Pool));
  pthread_mutex_init(&p->mu, 0);
  pthread_condattr_t a; pthread_condattr_init(&a); pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
  pthread_cond_init(&p->go, 0); pthread_cond_init(&p->fin, &a);
  p->limit = workers < 1 ? 1 : workers > MAXW ? MAXW : workers;
  return p;
}
API void msl_close(Pool* p) {
  pthread_mutex_lock(&p->mu); p->quit = 1; pthread_cond_broadcast(&p->go); pthread_mutex_unlock(&p->mu);
  for (u32 i = 0; i < p->nthreads; i++) pthread_join(p->t[i].id, 0);
  free(p);
}
static u64 gcd(u64 a, u64 b) { return b ? gcd(b, a % b) : a; }
static timespec in_ms(u64 ms) {
  timespec t; clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec += ms / 1000; t.tv_nsec += ms % 1000 * 1000000;
  if (t.tv_nsec >= 1000000000) { t.tv_sec++; t.tv_nsec -= 1000000000; }
  return t;
}
// Function constants are memory of the library, which several devices may have loaded.
static pthread_mutex_t constants_mu[64];
static u64 cpu_ms(pthread_t t) { // processor time of a thread
  clockid_t clock; timespec s;
  if (pthread_getcpuclockid(t, &clock) || clock_gettime(clock, &s)) return 0;
  return (u64)s.tv_sec * 1000 + s.tv_nsec / 1000000;
}
// The limit counts the processor time of the busiest worker, so that other work on the machine ends no launch. A worker
// that sleeps would never use it up: the clock on the wall may show SLEEP times as much.
enum { SLEEP = 60 };
static u64 busiest_ms(Pool* p, const u64* begin) {
  u64 most = 0;
  for (u32 i = 0; i < p->want; i++) { u64 used = cpu_ms(p->t[i].id) - begin[i]; if (used > most) most = used; }
  return most;
}
API void msl_dispatch(Pool* p, Dispatch* d) {
  pthread_mutex_t* cm = &constants_mu[d->image >> 12 & 63];
  pthread_mutex_lock(cm);
  for (u32 i = 0; i < d->nconst; i++) memcpy((void*)d->consts[i].at, &d->consts[i].bits, d->consts[i].size);
  u32 nw = d->checked ? 1 : p->limit;
  pthread_mutex_lock(&p->mu);
  while (p->nthreads < nw) { // the host's signals are not for them
    Thread* t = &p->t[p->nthreads];
    t->pool = p; t->index = p->nthreads++;
    sigset_t most, old; sigfillset(&most); for (int sig : caught) sigdelset(&most, sig);
    pthread_sigmask(SIG_SETMASK, &most, &old);
    int err = pthread_create(&t->id, 0, worker_main, t);
    pthread_sigmask(SIG_SETMASK, &old, 0);
    if (err) { errno = err; perror("metal emulator"); abort(); }
  }
  u64 n = p->total = (u64)d->groups[0] * d->groups[1] * d->groups[2];
  p->d = d; p->next = 0; p->stop = 0; p->active = p->want = nw;
  p->mult = n > 2 ? (n * 5 / 8) | 1 : 1; while (n > 2 && gcd(p->mult, n) != 1) p->mult += 2;
  p->gen++;
  u64 begin[MAXW], slept = 0;
  for (u32 i = 0; i < nw; i++) begin[i] = cpu_ms(p->t[i].id);
  pthread_cond_broadcast(&p->go);
  for (timespec t = in_ms(d->limit_ms); p->active;)
    if (pthread_cond_timedwait(&p->fin, &p->mu, &t) == ETIMEDOUT && p->active) {
      u64 used = busiest_ms(p, begin);
      if (!p->stop && used < d->limit_ms && ++slept < SLEEP) { t = in_ms(d->limit_ms); continue; }
      __atomic_store_n(&p->stop, 1, __ATOMIC_RELAXED);
      for (u32 i = 0; i < nw; i++) if (Worker* w = p->t[i].w) { __atomic_store_n(&w->stop, 1, __ATOMIC_RELAXED); pthread_kill(p->t[i].id, SIGSEGV); }
      t = in_ms(5);
    }
  d->aborted = p->stop;
  pthread_mutex_unlock(&p->mu);
  pthread_mutex_unlock(cm);
}
