#ifndef VM_H
#define VM_H

enum { VM_DEPTH = 16 };

struct vm {
    long stack[VM_DEPTH];
    int depth;
    int failed;
};

void vm_push(struct vm *vm, long value);
long vm_pop(struct vm *vm);

/* Applies a word to the two values on top; 0 when there is no such word. */
int vm_apply(struct vm *vm, const char *word);

#endif
