/* time() in a comment is no call, and neither are these members and longer names. */
long hm_planted_calls(struct planted *p)
{
    return p->time() + p->ops.rand() + hm_time(1) + time(0);
}

const char *hm_planted_home(void)
{
    return getenv("HOME");
}

void hm_planted_dice(unsigned char *out)
{
    randombytes_buf(out, 32);
}
