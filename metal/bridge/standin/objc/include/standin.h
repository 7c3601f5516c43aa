// How a test program drives the stand-in.
#ifndef STANDIN_H
#define STANDIN_H
#include <stddef.h>
#include <stdint.h>

enum { standin_binds = 31, standin_max_threads = 1024, standin_max_buffer = 1 << 28 };

struct standin_constant {
  uint32_t index, type, bits; // type is an MTLDataType
};
struct standin_launch {
  uint32_t pipeline;
  int barrier; // there was one before it
  int binds;
  struct {
    uint32_t buffer;
    uint64_t offset;
  } bind[standin_binds];
  uint32_t groups[3], threads[3];
};

// What is behind the stand-in: it compiles, holds the memory and runs the launches. Names that it gives out are not 0.
// A fault is text from malloc.
struct standin_gpu {
  uint32_t (*library)(char *source, char **fault);
  // *binds: how many buffers the kernel has, -1 if that is not known
  uint32_t (*pipeline)(uint32_t library, char *kernel, struct standin_constant *constants, int n, int *binds, int *threads, char **fault);
  uint32_t (*buffer)(uint64_t bytes, void **contents);
  void (*free_buffer)(uint32_t buffer);
  int (*run)(struct standin_launch *launches, size_t n, char **fault); // 0, or the code of the failed command buffer
};
void standin_use(struct standin_gpu gpu);

// Objects that are alive, objects that were autreleased where there was no pool, activities that were begun and not ended.
long standin_live(void);
long standin_stray(void);
long standin_activities(void);

// How often encoders were given a pipeline, a buffer, an offset alone, since this was last asked.
void standin_sets(long *pipelines, long *buffers, long *offsets);

// How often each of the six statuses of a command buffer was shown, since this was last asked.
void standin_statuses(long *counts);

// The command buffer that is committed after `after` others fails when half of its launches have run (standin_fail), or it and all
// later ones of its queue never end (standin_hang).
// With the code standin_no_error its status is error, and there is no NSError.
enum { standin_no_error = -1 };
void standin_fail(int after, int code, const char *text);
void standin_hang(int after);
long standin_hanging(void);      // command buffers that never end
void standin_free_hanging(void); // gives them up

void standin_set_devices(int by_default, int in_list); // in_list < 0: there is no list
void standin_set_old(int old);                         // only what macOS 11 has
void standin_set_family(int family);
void standin_set_condition(int thermal, int low_power);
void standin_set_memory(int enough);              // for buffers
void standin_set_max_buffer(uint64_t bytes);      // standin_max_buffer to begin with
enum { standin_queue = 1, standin_command_buffer, standin_encoder };
void standin_set_nothing_from(int what); // who asks for such a thing gets nil; 0: gets it
#endif
