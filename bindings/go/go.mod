module trophy.so/libtrophy

go 1.19
