RUNTIME = runtime/vm.c
