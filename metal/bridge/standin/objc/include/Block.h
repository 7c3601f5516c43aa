// Blocks: not part of the stand-in, these abort.
#ifndef STANDIN_BLOCK_H
#define STANDIN_BLOCK_H
void *_Block_copy(const void *block);
void _Block_release(const void *block);
#define Block_copy(b) ((__typeof__(b))_Block_copy((const void *)(b)))
#define Block_release(b) _Block_release((const void *)(b))
#endif
