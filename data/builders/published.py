"""Datasets that are published as a folder per class. None names its patients: see folder.py on the split."""

from data.builders.folder import Folder

_PAGE = "as on its page of Kaggle; read it before you publish images"


class BrainMri(Folder, skip_registration=True):
    """Brain Tumor Classification (MRI): {Training,Testing}/{glioma,meningioma,no,pituitary}_tumor/*.jpg.

    Its slices are of all three orientations, neighbours and copies of each other; and its published split parts them.
    """

    name = "brain_mri"
    licence = _PAGE
    citation = "Bhuvaji S, Kadam A, Bhumkar P, Dedge S, Kanchan S. Brain Tumor Classification (MRI). Kaggle 2020."


class AllSmears(Folder, skip_registration=True):
    """Acute lymphoblastic leukaemia, blood smears: Original/{Benign,Early,Pre,Pro}/*.jpg; Segmented/ is not read."""

    name, inner = "all_smears", "Original"
    licence = _PAGE
    citation = (
        "Ghaderzadeh M, Aria M, Hosseini A, Asadi F, Bashash D, Abolghasemi H. A fast and efficient CNN model for "
        "B-ALL diagnosis and its subtypes classification using peripheral blood smear images. Int J Intell Syst 2022."
    )


class SarsCov2Ct(Folder, skip_registration=True):
    """SARS-CoV-2 CT: {COVID,non-COVID}/*.png, slices of 120 patients that the file names do not tell apart."""

    name = "sars_cov_2_ct"
    licence = _PAGE
    citation = "Soares E, Angelov P, Biaso S, Froes MH, Abe DK. SARS-CoV-2 CT-scan dataset. medRxiv 2020."
