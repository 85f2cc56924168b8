#include "vm.h"

#include <stdio.h>

static int count, red;

static void check(int fine, const char *name)
{
    printf("%s %d - %s\n", fine ? "ok" : "not ok", ++count, name);
    red += !fine;
}

int main(void)
{
    struct vm vm = {{0}, 0, 0};

    vm_push(&vm, 5);
    vm_push(&vm, 3);
    check(vm_apply(&vm, "-") && vm_pop(&vm) == 2, "subtract");
    check(!vm_apply(&vm, "nonsense"), "unknown word");
    check(!vm.failed, "no failure yet");
    vm_pop(&vm);
    check(vm.failed, "pop of an empty stack fails");
    printf("1..%d\n", count);
    return red != 0;
}
