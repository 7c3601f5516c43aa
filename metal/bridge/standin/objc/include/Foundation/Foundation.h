#ifndef STANDIN_FOUNDATION_H
#define STANDIN_FOUNDATION_H
#import <objc/NSObject.h>
typedef unsigned char Byte;
@protocol NSCopying
@end
@interface NSAutoreleasePool : NSObject {
  id *_objects;
  NSUInteger _count, _capacity;
  NSAutoreleasePool *_outer;
}
- (void)drain;
+ (void)addObject:(id)o;
@end
@interface NSString : NSObject <NSCopying> {
  char *_text;
}
+ (NSString *)stringWithUTF8String:(const char *)s;
- (const char *)UTF8String;
@end
@interface NSArray : NSObject {
  id *_objects;
  NSUInteger _count, _capacity;
}
- (NSUInteger)count;
- (id)objectAtIndex:(NSUInteger)i;
@end
@interface NSMutableArray : NSArray
+ (id)arrayWithCapacity:(NSUInteger)n;
- (void)addObject:(id)o;
@end
@interface NSData : NSObject
+ (id)data;
+ (id)dataWithBytes:(const void *)b length:(NSUInteger)n;
- (const void *)bytes;
- (NSUInteger)length;
@end
@interface NSDictionary : NSObject
- (NSArray *)allKeys;
- (id)objectForKey:(id)k;
@end
@interface NSMutableDictionary : NSDictionary
+ (id)dictionaryWithCapacity:(NSUInteger)n;
- (void)setObject:(id)v forKey:(id<NSCopying>)k;
@end
@interface NSError : NSObject {
  NSString *_text;
  NSInteger _code;
}
+ (NSError *)errorWithCode:(NSInteger)code text:(const char *)text; // not Apple's
- (NSInteger)code;
- (NSString *)localizedDescription;
@end
#endif
