// A stand-in for as much of the Objective-C runtime and of Foundation as package bridge and darwinkit's package objc use.
// It counts the objects that are alive and aborts on an unknown selector and on a message to a freed object.
#import "standin.h"
#import <Block.h>
#import <Foundation/Foundation.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void standin_die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "standin: ");
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  abort();
}
#define ABSENT standin_die("%s is not part of it", __func__)

// ---- Runtime

IMP imp_implementationWithBlock(id block) { ABSENT; return 0; }
id imp_getBlock(IMP imp) { ABSENT; return nil; }
BOOL imp_removeBlock(IMP imp) { ABSENT; return NO; }
char *property_copyAttributeValue(objc_property_t p, const char *name) { ABSENT; return 0; }
objc_property_attribute_t *property_copyAttributeList(objc_property_t p, unsigned *n) { ABSENT; return 0; }
BOOL class_addProperty(Class c, const char *name, const objc_property_attribute_t *a, unsigned n) { ABSENT; return NO; }
void class_replaceProperty(Class c, const char *name, const objc_property_attribute_t *a, unsigned n) { ABSENT; }
IMP class_getMethodImplementation_stret(Class c, SEL s) { ABSENT; return 0; }
Protocol *objc_allocateProtocol(const char *name) { ABSENT; return nil; }
void objc_setAssociatedObject(id o, const void *key, id v, objc_AssociationPolicy p) { ABSENT; }
id objc_getAssociatedObject(id o, const void *key) { ABSENT; return nil; }
void objc_removeAssociatedObjects(id o) { ABSENT; }
void *_Block_copy(const void *block) { ABSENT; return 0; }
void _Block_release(const void *block) { ABSENT; }
void *_NSConcreteStackBlock[32], *_NSConcreteGlobalBlock[32];

static id unknown(id o, SEL s, ...) {
  standin_die("unrecognized selector: -[%s %s]", object_getClassName(o), sel_getName(s));
  return nil;
}
static IMP forward(id o, SEL s) { return (IMP)unknown; }
extern IMP (*__objc_msg_forward2)(id, SEL);
__attribute__((constructor)) static void initialize(void) { __objc_msg_forward2 = forward; }

// ---- NSObject

static long live, stray;
long standin_live(void) { return __atomic_load_n(&live, __ATOMIC_SEQ_CST); }
long standin_stray(void) { return __atomic_load_n(&stray, __ATOMIC_SEQ_CST); }

// A freed object has this class for a while, so that every message to it is unrecognised.
__attribute__((objc_root_class)) @interface Freed {
  Class isa;
}
@end
@implementation Freed
+ (Class)class {
  return self;
}
@end
static void dispose(id o) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static id ring[4096];
  static unsigned next;
  object_setClass(o, [Freed class]);
  pthread_mutex_lock(&mutex);
  id oldest = ring[next];
  ring[next++] = o;
  next %= sizeof ring / sizeof *ring;
  pthread_mutex_unlock(&mutex);
  if (oldest) object_dispose(oldest);
}

@implementation NSObject
+ (void)load {
}
+ (id)alloc {
  __atomic_add_fetch(&live, 1, __ATOMIC_SEQ_CST);
  return class_createInstance(self, 0);
}
+ (id)new {
  return [[self alloc] init];
}
+ (Class)class {
  return self;
}
- (id)init {
  return self;
}
- (void)dealloc {
  __atomic_sub_fetch(&live, 1, __ATOMIC_SEQ_CST);
  dispose(self);
}
- (id)retain {
  __atomic_add_fetch(&_references, 1, __ATOMIC_SEQ_CST);
  return self;
}
- (oneway void)release {
  if (__atomic_sub_fetch(&_references, 1, __ATOMIC_SEQ_CST) < 0) [self dealloc];
}
- (id)autorelease {
  [NSAutoreleasePool addObject:self];
  return self;
}
- (int)retainCount {
  return _references + 1;
}
- (Class)class {
  return object_getClass(self);
}
- (BOOL)respondsToSelector:(SEL)s {
  return class_respondsToSelector(object_getClass(self), s);
}
- (BOOL)isKindOfClass:(Class)c {
  for (Class k = object_getClass(self); k; k = class_getSuperclass(k))
    if (k == c) return YES;
  return NO;
}
@end

// ---- Autorelease pools

static __thread NSAutoreleasePool *innermost;

@implementation NSAutoreleasePool
- (id)init {
  _outer = innermost;
  innermost = self;
  return self;
}
- (void)drain {
  if (innermost != self) standin_die("an autorelease pool ends on another thread or out of order");
  for (NSUInteger i = 0; i < _count; i++) [_objects[i] release];
  free(_objects);
  innermost = _outer;
  [self release];
}
+ (void)addObject:(id)o {
  NSAutoreleasePool *p = innermost;
  if (!p) {
    __atomic_add_fetch(&stray, 1, __ATOMIC_SEQ_CST);
    return;
  }
  if (p->_count == p->_capacity) p->_objects = realloc(p->_objects, (p->_capacity = p->_capacity * 2 + 16) * sizeof(id));
  p->_objects[p->_count++] = o;
}
@end

// ---- Values

@implementation NSString
+ (NSString *)stringWithUTF8String:(const char *)s {
  NSString *o = [self alloc];
  o->_text = strdup(s);
  return [o autorelease];
}
- (void)dealloc {
  free(_text);
  [super dealloc];
}
- (const char *)UTF8String {
  return _text;
}
@end

@implementation NSArray
- (void)dealloc {
  for (NSUInteger i = 0; i < _count; i++) [_objects[i] release];
  free(_objects);
  [super dealloc];
}
- (NSUInteger)count {
  return _count;
}
- (id)objectAtIndex:(NSUInteger)i {
  if (i >= _count) standin_die("objectAtIndex:%lu of %lu", i, _count);
  return _objects[i];
}
@end

@implementation NSMutableArray
- (void)addObject:(id)o {
  if (_count == _capacity) _objects = realloc(_objects, (_capacity = _capacity * 2 + 4) * sizeof(id));
  _objects[_count++] = [o retain];
}
@end

// darwinkit has to link with these.
@implementation NSData
@end
@implementation NSDictionary
@end
@implementation NSMutableDictionary
@end

@implementation NSError
+ (NSError *)errorWithCode:(NSInteger)code text:(const char *)text {
  NSError *e = [self alloc];
  e->_code = code;
  e->_text = [[NSString stringWithUTF8String:text] retain];
  return [e autorelease];
}
- (void)dealloc {
  [_text release];
  [super dealloc];
}
- (NSInteger)code {
  return _code;
}
- (NSString *)localizedDescription {
  return [[_text retain] autorelease];
}
@end

// ---- NSProcessInfo

static int thermal, low_power, old;
static long activities;
void standin_set_condition(int t, int low) {
  __atomic_store_n(&thermal, t, __ATOMIC_SEQ_CST);
  __atomic_store_n(&low_power, low, __ATOMIC_SEQ_CST);
}
void standin_set_old(int o) { old = o; }
int standin_old(void) { return old; }
long standin_activities(void) { return activities; }

@interface Activity : NSObject {
@public
  BOOL _ended;
}
@end
@implementation Activity
@end

@interface NSProcessInfo : NSObject
@end
@implementation NSProcessInfo
+ (id)processInfo {
  static NSProcessInfo *one; // never freed, and not counted
  if (!one) one = class_createInstance(self, 0);
  return one;
}
- (BOOL)respondsToSelector:(SEL)s {
  return !(old && sel_isEqual(s, @selector(isLowPowerModeEnabled))) && [super respondsToSelector:s];
}
- (NSInteger)thermalState {
  return __atomic_load_n(&thermal, __ATOMIC_SEQ_CST);
}
- (BOOL)isLowPowerModeEnabled {
  if (old) unknown(self, _cmd);
  return __atomic_load_n(&low_power, __ATOMIC_SEQ_CST);
}
- (id)beginActivityWithOptions:(uint64_t)options reason:(NSString *)reason {
  if (options != 0x00ffffff || ![reason UTF8String][0]) standin_die("an activity of options %#lx", options);
  activities++;
  return [[Activity alloc] autorelease];
}
- (void)endActivity:(Activity *)a {
  if (object_getClass(a) != [Activity class] || a->_ended) standin_die("endActivity: of what is none");
  a->_ended = YES;
  activities--;
}
@end
