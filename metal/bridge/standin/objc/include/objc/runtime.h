// What Apple's <objc/runtime.h> has and GCC's lacks. What darwinkit only has to link with aborts.
#ifndef STANDIN_RUNTIME_H
#define STANDIN_RUNTIME_H
#include_next <objc/runtime.h>
#include <stdbool.h>
#include <stdint.h>
typedef struct {
  const char *name, *value;
} objc_property_attribute_t;
typedef uintptr_t objc_AssociationPolicy;
IMP imp_implementationWithBlock(id block);
id imp_getBlock(IMP imp);
BOOL imp_removeBlock(IMP imp);
char *property_copyAttributeValue(objc_property_t p, const char *name);
objc_property_attribute_t *property_copyAttributeList(objc_property_t p, unsigned int *n);
BOOL class_addProperty(Class c, const char *name, const objc_property_attribute_t *a, unsigned int n);
void class_replaceProperty(Class c, const char *name, const objc_property_attribute_t *a, unsigned int n);
IMP class_getMethodImplementation_stret(Class c, SEL s);
Protocol *objc_allocateProtocol(const char *name);
void objc_setAssociatedObject(id o, const void *key, id v, objc_AssociationPolicy p);
id objc_getAssociatedObject(id o, const void *key);
void objc_removeAssociatedObjects(id o);
#endif
