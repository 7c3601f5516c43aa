#ifndef STANDIN_NSOBJECT_H
#define STANDIN_NSOBJECT_H
#include <objc/objc.h>
#include <objc/runtime.h>
#include <stdint.h>
typedef unsigned long NSUInteger;
typedef long NSInteger;
@class NSString;
@protocol NSObject
- (BOOL)respondsToSelector:(SEL)s;
@end
__attribute__((objc_root_class)) @interface NSObject <NSObject> {
  Class isa;
  int _references; // beyond the first
}
+ (id)alloc;
+ (id)new;
+ (Class)class;
- (id)init;
- (void)dealloc;
- (Class)class;
- (id)retain;
- (oneway void)release;
- (id)autorelease;
- (int)retainCount;
- (id)copy;
- (id)mutableCopy;
- (BOOL)isKindOfClass:(Class)c;
- (BOOL)isMemberOfClass:(Class)c;
- (BOOL)conformsToProtocol:(Protocol *)p;
- (BOOL)isProxy;
- (id)performSelector:(SEL)s;
- (id)performSelector:(SEL)s withObject:(id)a;
- (id)performSelector:(SEL)s withObject:(id)a withObject:(id)b;
- (NSString *)description;
- (uintptr_t)goID; // declared by darwinkit as properties, which GCC's runtime does not synthesize
- (void)setGoID:(uintptr_t)v;
@end
#endif
