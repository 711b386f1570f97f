/* What embed.py wrote, as constants: `inputs` (float) and `codes` (int8). The assembler is told the folder with -Wa,-I. */
    .section .samples, "a", %progbits
    .balign 8
    .globl inputs
inputs:
    .incbin "inputs.bin"
    .globl codes
codes:
    .incbin "codes.bin"
    .section .note.GNU-stack, "", %progbits
