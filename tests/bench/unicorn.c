/* SPDX-License-Identifier: MIT */
/* unicorn KERNELS.ELF64 REPS: the bench's kernels in libunicorn, printing what the guest prints elsewhere. There is no
 * machine around the processor here: the function `start' is called with its three arguments in flat 64-bit memory. */
#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicorn/unicorn.h>

enum { MEMORY = 64 << 20, HEAP = 0x200000, STACK = MEMORY - 4096, RETURN = MEMORY - 2048 };

static char *image;
static long size;

static int read_image(const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < (long)sizeof(Elf64_Ehdr))
		return -1;
	rewind(f);
	image = malloc((size_t)size);
	return image && fread(image, 1, (size_t)size, f) == (size_t)size ? 0 : -1;
}

static uint64_t symbol(const char *name)
{
	const Elf64_Ehdr *e = (const void *)image;
	const Elf64_Shdr *s = (const void *)(image + e->e_shoff);

	for (int i = 0; i < e->e_shnum; i++) {
		const Elf64_Sym *sym = (const void *)(image + s[i].sh_offset);

		if (s[i].sh_type != SHT_SYMTAB)
			continue;
		for (uint64_t n = s[i].sh_size / sizeof *sym; n; n--, sym++)
			if (!strcmp(image + s[s[i].sh_link].sh_offset + sym->st_name, name))
				return sym->st_value;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const Elf64_Ehdr *e;
	uint64_t reps, entry;
	uc_engine *uc;

	if (argc != 3 || read_image(argv[1]) || !(entry = symbol("start")))
		return 2;
	reps = strtoull(argv[2], NULL, 10);
	e = (const void *)image;
	if (uc_open(UC_ARCH_X86, UC_MODE_64, &uc) || uc_mem_map(uc, 0, MEMORY, UC_PROT_ALL))
		return 8;
	for (int i = 0; i < e->e_phnum; i++) {
		const Elf64_Phdr *p = (const Elf64_Phdr *)(const void *)(image + e->e_phoff) + i;

		if (p->p_type == PT_LOAD && uc_mem_write(uc, p->p_paddr, image + p->p_offset, p->p_filesz))
			return 8;
	}
	puts("START");
	fflush(stdout);
	for (uint64_t which = 0; which < 5; which++) {
		uint64_t mem = HEAP, back = RETURN, stack = STACK, result;

		uc_mem_write(uc, stack, &back, sizeof back);
		uc_reg_write(uc, UC_X86_REG_RSP, &stack);
		uc_reg_write(uc, UC_X86_REG_RDI, &mem);
		uc_reg_write(uc, UC_X86_REG_RSI, &which);
		uc_reg_write(uc, UC_X86_REG_RDX, &reps);
		if (uc_emu_start(uc, entry, RETURN, 0, 0))
			return 8;
		uc_reg_read(uc, UC_X86_REG_RAX, &result);
		printf("%016" PRIx64 "\n", result);
		fflush(stdout);
	}
	puts("DONE");
	fflush(stdout);
	uc_close(uc);
	return 0;
}
