FRONTEND = frontend/main.c
