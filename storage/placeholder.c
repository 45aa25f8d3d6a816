typedef int hm_placeholder;
