// A stand-in for as much of Metal as package bridge uses. What a struct standin_gpu is given for does the work; here are
// Metal's objects, with the rules for their use: breaking one aborts.
#import "standin.h"
#import <Foundation/Foundation.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void standin_die(const char *format, ...);
int standin_old(void);

typedef struct {
  NSUInteger width, height, depth;
} MTLSize;

@interface MTLCompileOptions : NSObject {
@public
  NSUInteger _version;
  BOOL _safe, _precise; // the defaults are fast mathematics and fast functions
}
@end
@interface MTLFunctionConstantValues : NSObject {
@public
  struct standin_constant _constants[32];
  int _n;
}
@end
@interface Device : NSObject
@end
@interface Library : NSObject {
@public
  uint32_t _name;
  char *_source;
}
@end
@interface Function : NSObject {
@public
  Library *_library;
  char *_kernel;
  struct standin_constant _constants[32];
  int _n;
}
@end
@interface Pipeline : NSObject {
@public
  uint32_t _name;
  int _binds, _threads;
}
@end
@interface Buffer : NSObject {
@public
  uint32_t _name;
  void *_contents;
  NSUInteger _length;
  Buffer *_next; // that is alive
}
@end
@interface Queue : NSObject {
@public
  BOOL _hangs;
  NSUInteger _most; // command buffers that have not ended
  long _live;
}
@end
@interface CommandBuffer : NSObject {
@public
  Queue *_queue;
  id _encoder; // that is open
  struct standin_launch *_launches;
  size_t _n, _capacity;
  NSUInteger _status; // 0, 2 when it is committed, 4 or 5 when it has ended
  NSUInteger _shown;  // the last that was asked for
  double _start, _end;
  int _code;
  char *_fault;
  CommandBuffer *_next; // that is committed, or hanging
}
@end
@interface Encoder : NSObject {
@public
  CommandBuffer *_buffer;
  Pipeline *_pipeline;
  Buffer *_bound[standin_binds];
  NSUInteger _offset[standin_binds];
  BOOL _barrier, _ended;
}
@end

static void expect(id o, Class c, const char *what) {
  if (!o || object_getClass(o) != c) standin_die("%s: a %s", what, o ? object_getClassName(o) : "nil");
}

// ---- What is behind

static struct standin_gpu gpu;
static int no_default, in_list = 1, family = 1009, no_memory, nothing_from;
static NSUInteger max_buffer = standin_max_buffer;
void standin_use(struct standin_gpu g) { gpu = g; }
void standin_set_devices(int by_default, int list) { no_default = !by_default, in_list = list; }
void standin_set_family(int f) { family = f; }
void standin_set_memory(int enough) { no_memory = !enough; }
void standin_set_max_buffer(uint64_t bytes) { max_buffer = bytes; }
void standin_set_nothing_from(int what) { nothing_from = what; }

// An empty fault is one for which there is no error.
static void take_error(NSError **error, NSInteger code, char *fault) {
  if (fault && *fault) *error = [NSError errorWithCode:code text:fault];
  free(fault);
}

// ---- Device

id MTLCreateSystemDefaultDevice(void) { return no_default ? nil : [Device new]; }
id MTLCopyAllDevices(void) {
  if (in_list < 0) return nil;
  NSMutableArray *all = [NSMutableArray new];
  for (int i = 0; i < in_list; i++) {
    Device *d = [Device new];
    [all addObject:d];
    [d release];
  }
  return all;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; // of the lists here
static Buffer *buffers;

@implementation Device
- (NSString *)name {
  return [NSString stringWithUTF8String:"stand-in"];
}
- (BOOL)hasUnifiedMemory {
  return YES;
}
- (BOOL)supportsFamily:(NSInteger)f {
  return f == 5002 ? family >= 1010 : f <= family && f > 1000;
}
- (uint64_t)recommendedMaxWorkingSetSize {
  return 3ul << 32;
}
- (NSUInteger)maxBufferLength {
  return max_buffer;
}
- (NSUInteger)maxThreadgroupMemoryLength {
  return 32768;
}
- (uint64_t)registryID {
  return 0xfedcba9876543210;
}
- (id)newCommandQueueWithMaxCommandBufferCount:(NSUInteger)most {
  if (most < 1) standin_die("newCommandQueueWithMaxCommandBufferCount: of none");
  if (nothing_from == standin_queue) return nil;
  Queue *q = [Queue new];
  q->_most = most;
  return q;
}
- (id)newLibraryWithSource:(NSString *)source options:(MTLCompileOptions *)o error:(NSError **)error {
  expect(o, [MTLCompileOptions class], "options of a library");
  NSUInteger version = strstr([source UTF8String], "#include <MetalPerformancePrimitives/") ? 0x40000 : 0x30001;
  if (o->_version != version || !o->_safe || !o->_precise)
    standin_die("options of a library: version %#lx, safe mode %d, precise functions %d", o->_version, o->_safe, o->_precise);
  char *fault = 0;
  uint32_t name = gpu.library((char *)[source UTF8String], &fault);
  if (!name) {
    take_error(error, 3, fault);
    return nil;
  }
  Library *l = [Library new];
  l->_name = name;
  l->_source = strdup([source UTF8String]);
  return l;
}
- (id)newComputePipelineStateWithFunction:(Function *)f error:(NSError **)error {
  expect(f, [Function class], "newComputePipelineState");
  Pipeline *p = [Pipeline new];
  char *fault = 0;
  p->_name = gpu.pipeline(f->_library->_name, f->_kernel, f->_constants, f->_n, &p->_binds, &p->_threads, &fault);
  if (!p->_name) {
    [p release];
    take_error(error, 2, fault);
    return nil;
  }
  return p;
}
- (id)newBufferWithLength:(NSUInteger)n options:(NSUInteger)options {
  if (n == 0 || n > max_buffer || options != 0) standin_die("newBufferWithLength:%lu options:%#lx", n, options);
  if (no_memory) return nil;
  Buffer *b = [Buffer new];
  b->_length = n;
  b->_name = gpu.buffer(n, &b->_contents);
  if (!b->_name) standin_die("no memory");
  pthread_mutex_lock(&mutex);
  b->_next = buffers;
  buffers = b;
  pthread_mutex_unlock(&mutex);
  return b;
}
@end

@implementation MTLCompileOptions
- (BOOL)respondsToSelector:(SEL)s {
  BOOL is_new = sel_isEqual(s, @selector(setMathMode:)) || sel_isEqual(s, @selector(setMathFloatingPointFunctions:));
  return !(standin_old() && is_new) && [super respondsToSelector:s];
}
- (void)setLanguageVersion:(NSUInteger)v {
  _version = v;
}
- (void)setMathMode:(NSInteger)m {
  if (standin_old()) standin_die("unrecognized selector: setMathMode:");
  _safe = m == 0;
}
- (void)setMathFloatingPointFunctions:(NSInteger)f {
  if (standin_old()) standin_die("unrecognized selector: setMathFloatingPointFunctions:");
  _precise = f == 1;
}
- (void)setFastMathEnabled:(BOOL)b {
  if (!standin_old()) standin_die("setFastMathEnabled: is deprecated");
  _safe = _precise = !b;
}
@end

@implementation MTLFunctionConstantValues
- (void)setConstantValue:(const void *)value type:(NSUInteger)type atIndex:(NSUInteger)i {
  struct standin_constant *c = &_constants[_n++];
  if (_n == 32) standin_die("too many function constants");
  c->index = i, c->type = type;
  switch (type) {
  case 53: c->bits = *(const uint8_t *)value; break;
  case 3: case 29: case 33: memcpy(&c->bits, value, 4); break;
  default: standin_die("a function constant of type %lu", type);
  }
}
@end

@implementation Library
- (void)dealloc {
  free(_source);
  [super dealloc];
}
- (id)newFunctionWithName:(NSString *)name constantValues:(MTLFunctionConstantValues *)v error:(NSError **)error {
  expect(v, [MTLFunctionConstantValues class], "constantValues");
  const char *kernel = [name UTF8String];
  if (!strstr(_source, kernel)) {
    char *fault = malloc(100 + strlen(kernel));
    sprintf(fault, "Function %s was not found", kernel);
    take_error(error, 5, fault);
    return nil;
  }
  Function *f = [Function new];
  f->_library = [self retain];
  f->_kernel = strdup(kernel);
  f->_n = v->_n;
  memcpy(f->_constants, v->_constants, sizeof f->_constants);
  return f;
}
@end

@implementation Function
- (void)dealloc {
  free(_kernel);
  [_library release];
  [super dealloc];
}
@end

@implementation Pipeline
- (NSUInteger)maxTotalThreadsPerThreadgroup {
  return _threads;
}
@end

@implementation Buffer
- (void)dealloc {
  pthread_mutex_lock(&mutex);
  for (Buffer **b = &buffers; *b; b = &(*b)->_next)
    if (*b == self) {
      *b = _next;
      break;
    }
  pthread_mutex_unlock(&mutex);
  gpu.free_buffer(_name);
  [super dealloc];
}
- (void *)contents {
  return _contents;
}
@end

// ---- Queues: one thread runs what is committed, in order

static pthread_cond_t committed = PTHREAD_COND_INITIALIZER;
static CommandBuffer *first, **last = &first, *hanging;
static struct {
  int after, code; // code 0: hang
  char *text;
} *mishap;

static void plan(int after, int code, const char *text) {
  pthread_mutex_lock(&mutex);
  if (mishap) standin_die("one mishap at a time");
  mishap = malloc(sizeof *mishap);
  mishap->after = after, mishap->code = code, mishap->text = text ? strdup(text) : 0;
  pthread_mutex_unlock(&mutex);
}
void standin_fail(int after, int code, const char *text) { plan(after, code, text); }
void standin_hang(int after) { plan(after, 0, 0); }
long standin_hanging(void) {
  pthread_mutex_lock(&mutex);
  long n = 0;
  for (CommandBuffer *c = hanging; c; c = c->_next) n++;
  pthread_mutex_unlock(&mutex);
  return n;
}
void standin_free_hanging(void) {
  pthread_mutex_lock(&mutex);
  while (first) { // not yet hanging
    pthread_mutex_unlock(&mutex);
    usleep(100);
    pthread_mutex_lock(&mutex);
  }
  CommandBuffer *c = hanging;
  hanging = 0;
  pthread_mutex_unlock(&mutex);
  for (CommandBuffer *next; c; c = next) {
    next = c->_next;
    [c release];
  }
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

// run is called without the mutex. Command buffers hold no references to buffers.
static void run(CommandBuffer *c) {
  pthread_mutex_lock(&mutex);
  for (size_t i = 0; i < c->_n; i++)
    for (int j = 0; j < c->_launches[i].binds; j++) {
      Buffer *b = buffers;
      while (b && b->_name != c->_launches[i].bind[j].buffer) b = b->_next;
      if (!b) standin_die("buffer %d of launch %zu was freed", j, i);
    }
  pthread_mutex_unlock(&mutex);
  c->_start = seconds();
  if (c->_code) { // half of it runs
    char *unused = 0;
    gpu.run(c->_launches, c->_n / 2, &unused);
    free(unused);
  } else {
    c->_code = gpu.run(c->_launches, c->_n, &c->_fault);
  }
  c->_end = seconds();
  __atomic_sub_fetch(&c->_queue->_live, 1, __ATOMIC_SEQ_CST);
  __atomic_store_n(&c->_status, c->_code ? 5 : 4, __ATOMIC_SEQ_CST);
}

static void *work(void *unused) {
  for (;;) {
    pthread_mutex_lock(&mutex);
    while (!first) pthread_cond_wait(&committed, &mutex);
    CommandBuffer *c = first;
    if (!(first = c->_next)) last = &first;
    BOOL hangs = c->_queue->_hangs;
    if (mishap && mishap->after-- == 0) {
      c->_code = mishap->code, c->_fault = mishap->text;
      hangs = c->_queue->_hangs = !mishap->code;
      free(mishap);
      mishap = 0;
    }
    if (hangs) {
      c->_next = hanging;
      hanging = c;
    }
    pthread_mutex_unlock(&mutex);
    if (hangs) continue;
    @autoreleasepool {
      run(c);
      [c release];
    }
  }
  return 0;
}

static void start(void) {
  pthread_t t;
  if (pthread_create(&t, 0, work, 0)) standin_die("no thread");
}

@implementation Queue
- (id)commandBufferWithUnretainedReferences {
  if (nothing_from == standin_command_buffer) return nil;
  if (__atomic_add_fetch(&_live, 1, __ATOMIC_SEQ_CST) > _most) standin_die("more than %lu command buffers in a queue: Metal would wait", _most);
  CommandBuffer *c = [CommandBuffer new];
  c->_queue = [self retain];
  return [c autorelease];
}
@end

@implementation CommandBuffer
- (void)dealloc {
  if (_status < 4) __atomic_sub_fetch(&_queue->_live, 1, __ATOMIC_SEQ_CST);
  free(_launches);
  free(_fault);
  [_queue release];
  [super dealloc];
}
- (id)computeCommandEncoderWithDispatchType:(NSUInteger)type {
  if (_encoder || _status || type != 1) standin_die("an encoder of dispatch type %lu after another, or too late", type);
  if (nothing_from == standin_encoder) return nil;
  Encoder *e = [Encoder new];
  e->_buffer = [self retain];
  _encoder = e;
  return [e autorelease];
}
- (void)commit {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start);
  if (_encoder || _status) standin_die("commit with an open encoder, or twice");
  [self retain];
  pthread_mutex_lock(&mutex);
  _status = 2;
  *last = self;
  last = &_next;
  pthread_cond_signal(&committed);
  pthread_mutex_unlock(&mutex);
}
static long statuses[6];
void standin_statuses(long *counts) {
  for (int i = 0; i < 6; i++) counts[i] = __atomic_exchange_n(&statuses[i], 0, __ATOMIC_SEQ_CST);
}
// Each MTLCommandBufferStatus in turn, one further each time it is asked for and never further than the command buffer is:
// 0 NotEnqueued, 1 Enqueued, 2 Committed, 3 Scheduled, which it may be for long, then 4 Completed or 5 Error. Until the end
// is seen there are no times and no error.
- (NSUInteger)status {
  NSUInteger reached = __atomic_load_n(&_status, __ATOMIC_SEQ_CST), shown = __atomic_load_n(&_shown, __ATOMIC_SEQ_CST);
  if (reached >= 2 && shown < 3)
    shown++;
  else if (reached >= 4)
    shown = reached;
  __atomic_store_n(&_shown, shown, __ATOMIC_SEQ_CST);
  __atomic_fetch_add(&statuses[shown], 1, __ATOMIC_SEQ_CST);
  return shown;
}
static BOOL ended(CommandBuffer *c) { return __atomic_load_n(&c->_shown, __ATOMIC_SEQ_CST) >= 4; }
- (NSError *)error {
  return ended(self) && _status == 5 && _code != standin_no_error ? [NSError errorWithCode:_code text:_fault ? _fault : "unknown"] : nil;
}
- (double)GPUStartTime {
  return ended(self) ? _start : 0;
}
- (double)GPUEndTime {
  return ended(self) ? _end : 0;
}
@end

static long pipelines_set, buffers_set, offsets_set;
void standin_sets(long *pipelines, long *buffers, long *offsets) {
  *pipelines = pipelines_set, *buffers = buffers_set, *offsets = offsets_set;
  pipelines_set = buffers_set = offsets_set = 0;
}

static void must_be_open(Encoder *e) {
  if (e->_ended) standin_die("a message after endEncoding");
}

@implementation Encoder
- (void)dealloc {
  if (!_ended) standin_die("an encoder is freed before endEncoding");
  [_buffer release];
  [super dealloc];
}
- (void)setComputePipelineState:(Pipeline *)p {
  must_be_open(self);
  expect(p, [Pipeline class], "setComputePipelineState:");
  _pipeline = p;
  pipelines_set++;
}
- (void)setBuffer:(Buffer *)b offset:(NSUInteger)offset atIndex:(NSUInteger)i {
  must_be_open(self);
  expect(b, [Buffer class], "setBuffer:");
  if (i >= standin_binds) standin_die("setBuffer: atIndex:%lu", i);
  _bound[i] = b;
  _offset[i] = offset;
  buffers_set++;
}
- (void)setBufferOffset:(NSUInteger)offset atIndex:(NSUInteger)i {
  must_be_open(self);
  if (i >= standin_binds || !_bound[i]) standin_die("setBufferOffset: atIndex:%lu, where no buffer is", i);
  _offset[i] = offset;
  offsets_set++;
}
- (void)memoryBarrierWithScope:(NSUInteger)scope {
  must_be_open(self);
  if (scope != 1) standin_die("memoryBarrierWithScope:%lu", scope);
  _barrier = YES;
}
- (void)dispatchThreadgroups:(MTLSize)g threadsPerThreadgroup:(MTLSize)t {
  must_be_open(self);
  if (!_pipeline) standin_die("a dispatch without a pipeline");
  if (!g.width || !g.height || !g.depth) standin_die("a dispatch of %lu x %lu x %lu threadgroups", g.width, g.height, g.depth);
  NSUInteger n = t.width * t.height * t.depth;
  if (!n || n > _pipeline->_threads || n > standin_max_threads) standin_die("a dispatch of %lu x %lu x %lu threads", t.width, t.height, t.depth);
  CommandBuffer *c = _buffer;
  if (c->_n == c->_capacity) c->_launches = realloc(c->_launches, (c->_capacity = c->_capacity * 2 + 16) * sizeof *c->_launches);
  struct standin_launch *l = &c->_launches[c->_n++];
  memset(l, 0, sizeof *l);
  l->pipeline = _pipeline->_name;
  l->barrier = _barrier;
  _barrier = NO;
  l->binds = _pipeline->_binds;
  if (l->binds < 0) // not known: all there are
    for (l->binds = standin_binds; l->binds && !_bound[l->binds - 1];) l->binds--;
  for (int i = 0; i < l->binds; i++) {
    if (!_bound[i]) standin_die("a dispatch with no buffer at %d", i);
    if (_offset[i] >= _bound[i]->_length) standin_die("a dispatch with buffer %d of %lu bytes from offset %lu", i, _bound[i]->_length, _offset[i]);
    l->bind[i].buffer = _bound[i]->_name;
    l->bind[i].offset = _offset[i];
  }
  l->groups[0] = g.width, l->groups[1] = g.height, l->groups[2] = g.depth;
  l->threads[0] = t.width, l->threads[1] = t.height, l->threads[2] = t.depth;
}
- (void)endEncoding {
  must_be_open(self);
  _ended = YES;
  _buffer->_encoder = nil;
}
@end
