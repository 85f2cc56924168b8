#include "vm.h"

#include <string.h>

void vm_push(struct vm *vm, long value)
{
    if (vm->depth == VM_DEPTH)
        vm->failed = 1;
    else
        vm->stack[vm->depth++] = value;
}

long vm_pop(struct vm *vm)
{
    if (vm->depth > 0)
        return vm->stack[--vm->depth];
    vm->failed = 1;
    return 0;
}

static long add(long a, long b) { return a + b; }
static long subtract(long a, long b) { return a - b; }

static const struct {
    const char *word;
    long (*apply)(long a, long b);
} words[] = {
    {"+", add},
    {"-", subtract},
};

int vm_apply(struct vm *vm, const char *word)
{
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i].word) == 0) {
            long b = vm_pop(vm);
            long a = vm_pop(vm);
            vm_push(vm, words[i].apply(a, b));
            return 1;
        }
    }
    return 0;
}
