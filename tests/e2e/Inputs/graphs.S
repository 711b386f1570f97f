/* data.bin, which random_graphs.py wrote, as a constant. The assembler is told the folder with -Wa,-I. */
    .section .samples, "a", %progbits
    .balign 64
    .globl data
data:
    .incbin "data.bin"
    .section .note.GNU-stack, "", %progbits
