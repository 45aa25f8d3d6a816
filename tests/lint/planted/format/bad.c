int  hm_planted( void ){return 1;}
