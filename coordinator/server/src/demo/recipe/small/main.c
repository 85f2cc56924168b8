#include "vm.h"

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    struct vm vm = {{0}, 0, 0};
    char word[32];

    while (scanf("%31s", word) == 1) {
        char *end;
        long value = strtol(word, &end, 10);

        if (*end == '\0')
            vm_push(&vm, value);
        else if (!vm_apply(&vm, word))
            printf("? %s\n", word);
    }
    printf("= %ld\n", vm_pop(&vm));
    return vm.failed;
}
